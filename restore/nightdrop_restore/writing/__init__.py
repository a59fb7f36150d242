"""Writing what comes out of a backup: where, over what, and what is left when that is cut short."""
