"""The server role's verbs of the `nightdrop` command."""
