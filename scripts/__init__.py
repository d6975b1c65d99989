"""One script a chore: CI runs the same ones as a person does."""
