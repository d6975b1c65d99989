"""One framework's test suite: where it comes from, how it is run, and what its tests came to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.environments import interpreter
from tests.environments import CACHE, environment, python_3_11

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
#: A suite that takes longer than this, seconds, hangs.
LONGEST = 300


@dataclass(frozen=True)
class Run:
    """What a suite came to.

    Attributes:
        outcomes: ``passed``, ``failed`` or ``skipped``, by test.
        requests: how many the tests made; of a run without any wrapper 0.
        long: those that took longer than 50 ms.
        sampled: those of the long ones of which snapshots were kept.
        kept: the ids of the tasks of which snapshots were kept.
        well: whether the run itself ended as it should: enough of the long requests were sampled.
        output: all that pytest printed.
    """

    outcomes: dict[str, str]
    requests: int
    long: int
    sampled: int
    kept: frozenset[str]
    well: bool
    output: str

    @property
    def passed(self) -> set[str]:
        """The tests that passed."""
        return {name for name, outcome in self.outcomes.items() if outcome == "passed"}


@dataclass(frozen=True)
class Suite:
    """The tests in the source distribution of a framework, in an environment of its own.

    Args:
        source: the distribution with its version, for pip; ``NAME.txt`` has what the tests need.
        place: where the plugin is to put the wrapper.
        version: of Python, for example ``3.13``; by default this one's, or 3.11.
    """

    source: str
    place: str
    version: str = ""

    @property
    def name(self) -> str:
        """The distribution's."""
        return self.source.partition("==")[0]

    @cached_property
    def python(self) -> str:
        """The interpreter of the environment; made if it is not there.

        Raises:
            LookupError: no Python is there that the suite runs on.
        """
        python = sys.executable if sys.version_info >= (3, 11) else python_3_11()
        if self.version:
            python = interpreter(self.version)
        if python is None:
            raise LookupError("Python 3.11 or newer is needed for the suites")
        lines = (HERE / f"{self.name}.txt").read_text().splitlines()
        return str(environment(f"suite-{self.name}", python, *(line for line in lines if not line.startswith("#"))))

    @cached_property
    def directory(self) -> Path:
        """The unpacked source distribution; downloaded if it is not there."""
        directory = CACHE / "sources" / self.source.replace("==", "-")
        if not directory.exists():
            directory.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
                unpacked = self._download(Path(scratch))
                unpacked.rename(directory)
        return directory

    def _download(self, scratch: Path) -> Path:
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", self.name]
        options += ["--dest", str(scratch)]
        subprocess.run([self.python, "-m", "pip", "download", *options, self.source], check=True, timeout=LONGEST)
        [archive] = scratch.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(scratch, filter="data")
        return scratch / archive.name.removesuffix(".tar.gz")

    def run(self, wrap: str, backend: str, *tests: str) -> Run:
        """Run the suite, or some tests of it.

        Args:
            wrap: what is put around each app: ``none``, ``empty`` or ``swprof``.
            backend: ``HOST:PORT`` of what the agent reports to.
            tests: names of tests or files; all by default.

        Raises:
            RuntimeError: it did not come to its end; with the tail of its output.
        """
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "outcomes.json"
            options = ["-p", "transparency", f"--wrap={wrap}", f"--place={self.place}", f"--outcomes={file}"]
            done = subprocess.run(
                [self.python, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", *options, *tests],
                cwd=self.directory,
                env=_environment(backend),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LONGEST,
                check=False,
            )
            if not file.exists():
                tail = "\n".join(done.stdout.splitlines()[-60:])
                raise RuntimeError(f"{self.place} with --wrap={wrap} ended with {done.returncode}:\n{tail}")
            found = json.loads(file.read_text())
        return Run(
            outcomes=found["outcomes"],
            requests=found["requests"],
            long=found["long"],
            sampled=found["sampled"],
            kept=frozenset(found["kept"]),
            well=not found["problem"],
            output=done.stdout,
        )


def _environment(backend: str) -> dict[str, str]:
    """Of the suite's process: none of our own settings, and the plugin and our package on the path."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SW_", "SWPROF_", "PYTEST_"))}
    return {
        **own,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SW_AGENT_COLLECTOR_BACKEND_SERVICES": backend,
    }
