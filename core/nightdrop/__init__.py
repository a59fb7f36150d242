"""The words every Nightdrop role shares: names, receipts, envelopes, the vault, configuration, errors."""

__version__ = "0.1.0"
