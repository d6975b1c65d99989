"""Apps that tell which process answered, and keep a list of what it reported."""
