"""Reference flows: one file for each process manager, to be read from top to bottom."""
