"""Private keys and their passphrases: made, locked, read."""
