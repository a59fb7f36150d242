"""The client role: back this host up, seal, and drop on every mirror. Reads no backup back."""
