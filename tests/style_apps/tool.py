"""A tool that somebody runs in the same process as us, to watch the requests of `watched`."""

from __future__ import annotations

import abc
from typing import Any, ClassVar


class Tool(abc.ABC):
    """One tool, made anew for each time it is used.

    Attributes:
        name: what it is called in test reports.
        since: the first version of Python that has it.
        hides_workers: whether our profiles do not show worker threads beside it, up to Python 3.12.
    """

    name: ClassVar[str]
    since: ClassVar[tuple[int, int]] = (3, 10)
    hides_workers: ClassVar[bool] = False

    @abc.abstractmethod
    def start(self) -> None:
        """Begin to watch."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Watch no longer."""

    @abc.abstractmethod
    def is_on(self) -> bool:
        """Whether it watches still, as far as the interpreter is concerned."""

    @abc.abstractmethod
    def recorded(self) -> dict[str, Any]:
        """What it saw of the requests' own functions: equal, as JSON, whenever it saw the same."""

    def has_enough(self) -> bool:
        """Whether it need not see more requests: who follows every call has enough, others need some luck."""
        return True
