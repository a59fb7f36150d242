"""The vaults that are restored from: where they are, what is in them, and which copy of a file counts."""
