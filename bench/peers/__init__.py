"""What others cost, and we beside them: each in a process and an environment of its own, on the same app."""
