"""One instrumented app: its settings, its names, and the service it reports as."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from swprof_mw import current, forks, log
from swprof_mw.clock import monotonic_ns
from swprof_mw.config import Config, explain
from swprof_mw.failures import failed
from swprof_mw.names import EndpointNames
from swprof_mw.nested_span import NestedSpan, Span
from swprof_mw.profiling.locate.place import current_request
from swprof_mw.span import Client, EntrySpan
from swprof_mw.trace_filter import TraceFilter

if TYPE_CHECKING:
    from swprof_mw.service import Service

_A_WHILE = 1_000_000_000
#: Of so many methods and routes it is remembered that none of their requests is to be reported.
_UNWANTED = 10_000


def _no_settings() -> Mapping[str, object]:
    return {}


class Application:
    """What an adapter holds for one app; ``begin`` makes the spans of its requests.

    The constructor takes the settings given as keywords and in the environment, and refuses bad ones. The framework's
    own settings are read at the first request, since apps fill them late; a bad one there is logged, once, and the
    app runs without us.

    Args:
        component: SkyWalking's component id of the framework.
        keywords: settings as given to the adapter's constructor.
        framework_settings: gives the framework's own settings.
        default_name: gives the service's name where no setting does.

    Attributes:
        find_route: gives the route of a request that is being answered: for an adapter that names requests only when
            they are, and whose framework knows earlier.

    Raises:
        ConfigError: a keyword or an environment variable is not valid.
    """

    find_route: Callable[[EntrySpan], str | None] | None = None

    def __init__(
        self,
        component: int,
        keywords: Mapping[str, object],
        framework_settings: Callable[[], Mapping[str, object]] = _no_settings,
        default_name: Callable[[], str] = lambda: "",
    ) -> None:
        self.component = component
        self._keywords = dict(keywords)
        self._framework_settings = framework_settings
        self._default_name = default_name
        self._service: Service | None = None
        self._process = 0
        self._configure(Config.load(self._keywords))
        if self.config.enabled:
            forks.watch()
            self._import()

    @staticmethod
    def _import() -> None:
        """Import what the first request needs: that starts nothing, and a prefork server's workers share it."""
        from swprof_mw import runtime

        if not runtime.why_not():
            from swprof_mw import agent  # noqa: F401

    def _configure(self, config: Config) -> None:
        self.config = config
        self.names = EndpointNames(config.endpoint_format)
        self.filter = TraceFilter(config.trace_report, config.sample_n_per_3_secs)
        # By method and route, until when (monotonic ns).
        self._unwanted: dict[tuple[str, str | None], int] = {}
        self._ignores = bool(config.ignore_methods or config.trace_ignore_path)

    @property
    def enabled(self) -> bool:
        """Whether the app is instrumented at all, by what is known before the first request."""
        return self.config.enabled

    def explain(self) -> dict[str, tuple[Any, str]]:
        """Each setting and its source, as the first request will find them. Raises ``ConfigError`` for a bad one."""
        return explain(self._keywords, self._framework_settings())

    @property
    def default_name(self) -> str:
        """The service's name where no setting gives one; empty if the app has none of its own."""
        return self._default_name()

    def begin(self, method: str, path: str, client: Client = (None, None), sw8: str = "") -> Span | None:
        """A request begins; None where it is not traced: ignored, or we are off.

        Where the same request is open already, in an adapter further out, this is that one's span.

        Args:
            method: HTTP method.
            path: the full raw path without query, mount prefixes included.
            client: its host and port, as far as they are known.
            sw8: the header's value, empty if there is none.
        """
        try:
            process = os.getpid()
            outer = current_request.get()
            # A process that was forked in the middle of a request inherits it open, and has nothing to do with it.
            if outer is not None and isinstance(outer, EntrySpan) and not outer.ended and outer.process_id == process:
                # Another path is a call that the app makes to an app in its own process: the request's own work.
                return NestedSpan(outer) if outer.covers(method, path) else None
            # The process first: whoever attaches now says it last.
            service = self._service if self._process == process else self.attach()
            if service is not None and service.ended:
                service = self.attach()
            if service is None or (self._ignores and self.config.ignores(method, path)):
                return None
            span = EntrySpan(self, service, method, path, client, sw8)
            if service.tasks.current is not None:
                span.wants_route = True
                service.tasks.add_profiling(span, self.names.path(method, path))
            return span
        except Exception:  # noqa: BLE001
            failed("beginning a span")
            return None

    def endpoint_now(self, span: EntrySpan) -> str:
        """The name of a request that has none yet, as far as it can be known."""
        template = self.find_route(span) if self.find_route else None
        if template is not None:
            return self.names.route(span.method, template)
        return self.names.guess(span.method, span.path)

    @property
    def is_quiet(self) -> bool:
        """Whether a request that begins now needs no span: it is not profiled, and only those that are, are reported.

        But for one of each endpoint now and then: an adapter that lets a request pass without a span asks `is_due` once
        it knows the route, and if so begins one that is `EntrySpan.backdated`.
        """
        service = self._service
        return (
            self.filter.only_profiled
            and service is not None
            and service.tasks.current is None
            and not service.ended
            and not current.asked
            and current_request.get() is None
            and self._process == os.getpid()
        )

    def is_due(self, method: str, template: str | None) -> bool:
        """Whether the segment of a request of that route, None for none at all, is to be sent though not profiled."""
        now, key = monotonic_ns(), (method, template)
        if now < self._unwanted.get(key, 0):  # as it is mostly
            return False
        due = self.due_at(method, template)
        if now >= due:
            return True
        if len(self._unwanted) >= _UNWANTED:
            self._unwanted.clear()
        self._unwanted[key] = due
        return False

    def due_at(self, method: str, template: str | None) -> int:
        """From when on (monotonic ns) that is so, as things are."""
        service, names = self._service, self.names
        if service is None or service.tasks.current is not None:
            return monotonic_ns() + _A_WHILE  # a task that came meanwhile is for requests that begin now
        if template is None:
            name = names.unmatched(method)
        else:
            name = names.known.get(template) or names.route(method, template)
        return self.filter.due_at(name)

    def attach(self) -> Service | None:
        """Connect to this process's agent, started now if it is the first.

        None if we are off or not configured, if we do not run here, or if the process is about to end, or yet to be
        forked.
        """
        from swprof_mw import runtime, servers

        if servers.is_loading():
            return None
        service = None
        try:
            self._configure(Config.load(self._keywords, self._framework_settings()))
            if self.config.enabled and runtime.is_supported():
                from swprof_mw import agent

                service = agent.attach(self.config, self._default_name())
        except ValueError as error:
            log.off(str(error))
        finally:
            # The process last: until then, requests that come meanwhile connect by themselves.
            self._service, self._process = service, os.getpid()
        return service
