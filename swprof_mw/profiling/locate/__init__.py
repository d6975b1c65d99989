"""Where a request runs right now: its stack, wherever the server and the app took it."""
