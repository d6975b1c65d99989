"""Runs CI's sections one after the other, and says what each took beside the time it may take.

They come on stdin, a line each: ``SECONDS  NAME: COMMAND``. The first that fails ends it. A section over its budget is
marked, and one that takes more than `FAR` times as long fails the run, once all the others have passed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

FAR = 2

_LINE = re.compile(r"\s*(?P<budget>\d+)\s+(?P<name>[^:]+):\s*(?P<command>\S.*?)\s*")


class Section(NamedTuple):
    """A part of CI: ``budget`` in seconds, ``command`` for the shell."""

    name: str
    budget: int
    command: str

    @classmethod
    def of(cls, line: str) -> Section:
        """One line.

        Raises:
            ValueError: it is not of that form.
        """
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"not 'SECONDS  NAME: COMMAND': {line!r}")
        return cls(found["name"], int(found["budget"]), found["command"])


class Took(NamedTuple):
    """A section that was run, its seconds, and its exit status."""

    section: Section
    seconds: float
    status: int

    @property
    def is_far_over(self) -> bool:
        """Whether that is too long to let it pass."""
        return self.seconds > FAR * self.section.budget

    @property
    def mark(self) -> str:
        """What there is to say of it."""
        if self.status:
            return f"failed with status {self.status}"
        if self.is_far_over:
            return f"more than {FAR} times its budget: fails"
        return "over its budget" if self.seconds > self.section.budget else ""


def run(sections: Iterable[Section]) -> list[Took]:
    """Run them until one fails."""
    done: list[Took] = []
    for section in sections:
        print(f"\n--- {section.name} ({sum(each.seconds for each in done):.0f} s so far)", flush=True)
        began = time.monotonic()
        # CI's own words, which come with the checkout.
        shell = subprocess.run(section.command, shell=True, stdin=subprocess.DEVNULL, check=False)  # noqa: S602
        done.append(Took(section, time.monotonic() - began, shell.returncode))
        if shell.returncode:
            break
    return done


def table(done: Iterable[Took]) -> str:
    """A line for each section, for people."""
    lines = [f"{'section':<40}{'seconds':>9}{'budget':>9}"]
    lines += [f"{each.section.name:<40}{each.seconds:>9.0f}{each.section.budget:>9}  {each.mark}" for each in done]
    return "\n".join(line.rstrip() for line in lines)


def main() -> int:
    """1 if a section failed, or took far too long."""
    sections = [Section.of(line) for line in sys.stdin.read().splitlines() if line.strip()]
    done = run(sections)
    print(f"\n{table(done)}")
    return 1 if any(each.status or each.is_far_over for each in done) else 0


if __name__ == "__main__":
    sys.exit(main())
