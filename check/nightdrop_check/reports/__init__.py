"""The report of one look, and the forms it takes: text, page, mail, JSON, metrics."""
