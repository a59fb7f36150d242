"""The check role's verbs of the `nightdrop` command."""
