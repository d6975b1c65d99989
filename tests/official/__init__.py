"""The official agent, in an environment of its own: its newest version."""

from __future__ import annotations

from tests.environments import environment, python_3_11


def interpreter() -> str:
    """What runs it, and Flask."""
    python = python_3_11()
    assert python is not None, "no python3.11 on the path, for the official agent"
    return str(environment("official", python, "apache-skywalking==1.2.0", "flask>=2.2", "blinker>=1.5"))
