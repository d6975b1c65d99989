"""The tools that exports are for, made on demand outside of the tree and kept for the next time."""
