"""The apps of docs/frameworks.md, asked in a process of their own: ``python -m tests.recipes FILE... < files``."""
