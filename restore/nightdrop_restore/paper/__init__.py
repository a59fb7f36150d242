"""A key on paper: what stands on it, as HTML and as a PDF, and how it is read back."""
