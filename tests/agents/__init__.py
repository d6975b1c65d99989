"""Other vendors' agents at work in the same process."""
