"""What runs inside the restoring duplicity process, and what goes between it and ours."""
