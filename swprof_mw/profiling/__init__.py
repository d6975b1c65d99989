"""Profile tasks, and the sampling of the requests that they match."""
