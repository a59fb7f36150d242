"""duplicity, the engine, in a process of its own: how a role starts it, and how it tells of itself."""
