"""Runs our commands in forks of a process that has imported the frameworks: a fresh one takes a second for that."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
#: What most of a fresh process's time goes to.
MODULES = ("django.core.handlers.asgi", "falcon", "fastapi", "flask", "litestar", "quart", "swprof_mw.cli.main")


class Ended(NamedTuple):
    """A command that has ended.

    Attributes:
        status: its exit status.
        output, errors: all that it wrote.
    """

    status: int
    output: str
    errors: str


class Forks:
    """A process that is ready to run commands, until ``close``."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.forked"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, directory: Path, arguments: list[str], environment: Mapping[str, str]) -> Ended:
        """Run ``swprof`` with these arguments in that directory and environment, and wait for its end."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps([str(directory), arguments, dict(environment)]), file=self._server.stdin, flush=True)
        return Ended(*json.loads(self._server.stdout.readline()))

    def close(self) -> None:
        """End it."""
        self._server.communicate(timeout=20)


def _serve() -> None:
    for module in MODULES:
        importlib.import_module(module)
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            process = os.fork()
            if process == 0:
                os.dup2(output.fileno(), 1)
                os.dup2(errors.fileno(), 2)
                _run(*json.loads(line))
            _, status = os.waitpid(process, 0)
            for file in (output, errors):
                file.seek(0)
            print(json.dumps([os.waitstatus_to_exitcode(status), output.read(), errors.read()]), flush=True)


def _run(directory: str, arguments: list[str], environment: dict[str, str]) -> None:
    """In the forked process, which does not return."""
    status: object = 3
    try:
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)
        status = importlib.import_module("swprof_mw.cli.main").main(arguments)
    except SystemExit as error:
        status = error.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 3)


if __name__ == "__main__":
    _serve()
