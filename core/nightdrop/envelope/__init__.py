"""Envelopes: CMS messages (RFC 5652, 5083), sealed and described here; opened in the restore role."""
