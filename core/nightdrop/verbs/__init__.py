"""The verbs that every installation has."""
