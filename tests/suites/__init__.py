"""The test suites of web frameworks, run with our middleware in every app: ``python -m tests.suites``."""
