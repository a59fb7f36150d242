"""The restore role's verbs of the `nightdrop` command."""
