"""The check role: judge the vault without a key, and report."""
