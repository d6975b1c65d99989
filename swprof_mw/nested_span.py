"""The open span of a request as an adapter sees it that is inside of the one that opened it."""

from __future__ import annotations

from types import FrameType
from typing import Any

from swprof_mw.span import EntrySpan


class NestedSpan:
    """The open span of the same request as an inner adapter sees it: it may refine the name, and tell an error.

    Its methods are those of `EntrySpan`; the ones that belong to whoever opened the span do nothing.
    """

    __slots__ = ("outer",)

    def __init__(self, outer: EntrySpan) -> None:
        self.outer = outer

    @property
    def wants_route(self) -> bool:
        """As of the outer span."""
        return self.outer.wants_route

    def route(self, template: str | None) -> None:
        """The inner router found a route; none of its own does not take the outer one away."""
        if template is not None:
            self.outer.route(template)

    def route_by_path(self) -> None:
        """An inner app of unknown kind knows no better than the outer one."""

    def error(self, exception: BaseException) -> None:
        """The inner app left ``exception`` unhandled."""
        self.outer.error(exception)

    def mark_long_lived(self) -> None:
        """The outer span's to say."""

    def set_component(self, component: int) -> None:
        """The outer span's to say."""

    def activate(self) -> None:
        """The outer span is the current request, and stays it."""

    def deactivate(self, token: object) -> None:
        """The outer span is the current request, and stays it."""

    def enter(self, frame: FrameType) -> None:
        """The outer frame stays the request's entry."""

    def enter_task(self, frame: FrameType, task: Any, loop: Any) -> None:
        """The outer frame stays the request's entry."""

    def leave(self) -> None:
        """The outer frame stays the request's entry."""

    def end(self, status: int) -> None:
        """The outer span ends itself."""


Span = EntrySpan | NestedSpan
