"""The client role's verbs of the `nightdrop` command."""
