"""Tools that are not of Python, made on demand outside of the tree and kept for the next time."""
