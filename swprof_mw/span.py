"""One request as an entry span: begin, route, end; and the segment that it becomes."""

from __future__ import annotations

from contextvars import Token
from typing import TYPE_CHECKING

from swprof_mw.clock import NS_PER_MS, monotonic_ns, wall_ns
from swprof_mw.exception_log import exception_log
from swprof_mw.failures import failed, guarded, note
from swprof_mw.log import fields
from swprof_mw.profiling.locate.place import Place, current_request
from swprof_mw.profiling.profiler import ProfiledSpan
from swprof_mw.propagation import parse
from swprof_mw.records import Reference, Segment

if TYPE_CHECKING:
    from swprof_mw.application import Application
    from swprof_mw.service import Service

#: The status of a request whose app failed, or never said one; from here on a status is an error.
FAILED = 500
#: The status of a request whose client went away before there was one; the number is nginx's, HTTP has none.
CLIENT_GONE = 499

#: So much is kept of what a stranger may make as long as he likes: ten thousand segments may wait to be sent.
URL_LENGTH = 2_000
_METHOD_LENGTH = 50
_PEER_LENGTH = 200
#: What a request holds of that is cut while it waits to be sent only if it is more than this in all.
_LONG = 1_000

Client = tuple[object, object]
"""A client's host and port, as the server gives them: text and a number or text. Anything else is not told."""


class EntrySpan(ProfiledSpan):
    """One request of one app, from its first line in our adapter to its last byte.

    Made by ``Application.begin``. None of the methods raises; after ``end`` none has an effect.

    Attributes:
        method: HTTP method, upper case.
        path: the full raw path, without query: mount prefixes (``SCRIPT_NAME``, ``root_path``) included.
        endpoint: the name by the resolved route; empty until it is known.
        mount: the concrete prefix of an outer app's mount and its template, for names that an inner app gives.
        wants_route: whether a task is there that the route, known before the view runs, could match.
        is_routed: whether it has been named by a route that was found, or by the app itself.
        status: for the adapter to note the answer's HTTP status in, as soon as it is known.
        is_whole: whether no code of the app's is needed any more to send the answer: the adapter may know.
    """

    status = FAILED
    endpoint = ""
    wants_route = False
    is_routed = False
    is_whole = False
    mount: tuple[str, str] | None = None
    _end = 0
    _component = 0
    _log: tuple[tuple[str, str], ...] = ()
    _is_error = False
    _long_lived = False
    _fixed = False
    _reference: Reference | None = None

    def __init__(
        self, application: Application, service: Service, method: str, path: str, client: Client, sw8: str
    ) -> None:
        # As `ProfiledSpan` has it, without its calls: this is done for each request.
        self._number = service.next_number()
        self.start = monotonic_ns()
        self._wall = wall_ns()
        self._application = application
        self._service = service
        self._client = client
        self._sw8 = sw8
        self.method = method
        self.path = path

    @property
    def segment_id(self) -> str:
        """Unique among all processes: made when it is asked for, which it mostly is when it is sent."""
        return f"{self._service.prefix}.{self._number}"

    @property
    def process_id(self) -> int:
        """Of the process that the request began in."""
        return self._service.process_id

    @property
    def trace_id(self) -> str:
        """The caller's trace if the header names a valid one, or else its own; a stranger may have chosen it."""
        reference = self._caller()
        return reference.trace_id if reference else self.segment_id

    @property
    def as_caller(self) -> Reference:
        """What a process that is called now has to know to go on with the trace, but the address it is called at."""
        endpoint = self.endpoint or self._application.endpoint_now(self)
        service = self._service
        return Reference(self.trace_id, self.segment_id, 0, service.name, service.instance, endpoint, "")

    @property
    def is_wanted(self) -> bool:
        """Whether its segment is going to be sent, by what is known of it now: to be asked once it has its name."""
        wanted = self._application.filter
        return not wanted.only_profiled or self.profiler is not None or wanted.is_due(self.endpoint, monotonic_ns())

    def backdate(self, start: int, end: int = 0) -> None:
        """The request began at ``start``, and was over at ``end`` if that is not 0: monotonic ns."""
        self._wall -= self.start - start
        self.start = start
        self._end = end

    def activate(self) -> Token[Place | None]:
        """The code that runs from now on in this Context is the request's; pass the result to ``deactivate``."""
        return current_request.set(self)

    def deactivate(self, token: Token[Place | None]) -> None:
        """What was the current request before ``activate`` is it again."""
        try:
            current_request.reset(token)
        except ValueError:
            return  # a coroutine finalized in another Context than its own: that one has nothing to put back

    def covers(self, method: str, path: str) -> bool:
        """Whether an inner adapter that sees this method and full path sees the same request."""
        return not self.ended and self.path == path and self.method == method

    def route(self, template: str | None) -> None:
        """The router found a route, or none (``template`` None). The last call wins: inner apps know better."""
        try:
            names = self._application.names
            if template is None:
                self._name(names.unmatched(self.method))
                return
            self.is_routed = True
            if self.mount:
                template = self._mounted(template, *self.mount)
            self._name(names.known.get(template) or names.route(self.method, template))
        except Exception:  # noqa: BLE001
            failed("naming an endpoint")

    def route_known(self, name: str) -> None:
        """The router found a route whose requests have this ``name``; as ``route`` of it, where nothing is mounted."""
        self.is_routed = True
        self._name(name)

    def known(self, template: str) -> str | None:
        """The name of a route that was named before; None also where a name depends on more than the route."""
        return self._application.names.known.get(template)

    @guarded("naming an endpoint")
    def route_by_path(self) -> None:
        """The app's router is not known to us: name the request by its path."""
        self._name(self._application.names.guess(self.method, self.path))

    @guarded("naming an endpoint")
    def set_endpoint(self, name: str | None) -> None:
        """The app itself names the request, or knows that no route matched: no route takes that away any more."""
        names = self._application.names
        self._fixed = False
        self.is_routed = True
        self._name(names.unmatched(self.method) if name is None else names.route(self.method, name))
        self._fixed = True

    @guarded("logging an exception")
    def error(self, exception: BaseException) -> None:
        """The app left ``exception`` unhandled; its type, message and stack go into the span's log."""
        if not self.ended and not self._log:
            self._is_error = True
            self._log = exception_log(exception, self._application.config.exception_messages)

    def mark_long_lived(self) -> None:
        """A WebSocket or an event stream: its duration says nothing of the app's speed."""
        self._long_lived = True

    def set_component(self, component: int) -> None:
        """The framework turned out to be another one than the adapter's own (SkyWalking's component id)."""
        self._component = component

    def end(self, status: int | None = None) -> None:
        """The request's last byte was handed to the server. Once; later calls do nothing.

        Args:
            status: the answer's HTTP status; by default the one that was noted.
        """
        if self.ended:
            return
        try:
            self.ended = True
            # Inactive first, then the time: a snapshot that is later than the end is dropped by its time.
            if self.frame is not None:
                self.leave()
            self._end = self._end or monotonic_ns()
            profiler = self.profiler
            if profiler is not None:
                profiler.end(max(self._end, self.start))
            if status is not None:
                self.status = status
            if not self.endpoint:
                self.endpoint = self._application.names.unmatched(self.method)
            wanted = self._application.filter
            if wanted.keeps_all or (profiler is not None and profiler.was_taken) or wanted.keeps(self.endpoint):
                self.loop = None  # it waits to be sent, and so would what it holds
                host = self._client[0]
                size = len(self.path) + len(self.method) + len(self._sw8) + (len(host) if isinstance(host, str) else 0)
                if size > _LONG:
                    self._shorten()
                self._service.report(self)
        except Exception:  # noqa: BLE001
            failed("ending a span")

    def segment(self) -> Segment:
        """What is reported of it, once it has ended: made when it is sent, by who sends it."""
        application, service, segment_id = self._application, self._service, self.segment_id
        reference = self._caller()
        # By position: by name it takes twice as long, and this is done for each request.
        return Segment(
            reference.trace_id if reference else segment_id,
            segment_id,
            service.name,
            service.instance,
            self.endpoint,
            self._wall // NS_PER_MS,
            # A test that freezes time may turn even a clock back that never jumps.
            (self._wall + max(self._end - self.start, 0)) // NS_PER_MS,
            _peer(self._client)[:_PEER_LENGTH],
            self._component or application.component,
            self._is_error or self.status >= FAILED,
            self._tags(self.status),
            self._log,
            reference,
            self._long_lived and not application.config.long_lived_analysis,
        )

    def _shorten(self) -> None:
        """Keep no more of what a stranger has thought up than is sent."""
        self.path = self.path[:URL_LENGTH]
        self.method = self.method[:_METHOD_LENGTH]
        self._client = _peer(self._client)[:_PEER_LENGTH], None
        self._caller()

    def _caller(self) -> Reference | None:
        """The caller's span, if the header is valid: read once, and then the header is empty."""
        if header := self._sw8:
            self._reference = parse(header)
            if self._reference is None:
                # Not the value itself: it is a stranger's, and might be anybody's secret.
                words = "a header sw8 that is not valid is ignored, of %d characters"
                note(words, len(header), extra=fields("header_ignored", length=len(header)))
            self._sw8 = ""  # at last: another thread of the request may ask meanwhile
        return self._reference

    def _tags(self, status: int) -> tuple[tuple[str, str], ...]:
        url_tag = self._application.config.url_tag
        method, answered = ("http.method", self.method[:_METHOD_LENGTH]), ("http.status_code", str(status))
        if url_tag == "off":
            tags: tuple[tuple[str, str], ...] = (method, answered)
        else:
            shown = self.path if url_tag == "path" else self.endpoint
            tags = (method, ("http.url", shown), answered)
        stretched = self.profiler.stretched_period if self.profiler is not None else 0
        return (*tags, ("swprof.period_ms", str(stretched))) if stretched else tags

    @staticmethod
    def _mounted(template: str, concrete: str, mount: str) -> str:
        """An inner app only knows the concrete prefix it is mounted at: put the mount's own template in its place."""
        if concrete and (template == concrete or template.startswith(f"{concrete}/")):
            return mount + template[len(concrete) :]
        return template

    def _name(self, name: str) -> None:
        if self.ended or self._fixed or name == self.endpoint:
            return
        self.endpoint = name
        if self._service.tasks.current is not None:
            self._service.tasks.profiling_recheck(self, name)


def _peer(client: Client) -> str:
    """``HOST:PORT``; the host alone if there is no port, empty if the server does not say."""
    host, port = client
    if not isinstance(host, str):
        return ""
    return f"{host}:{port}" if host and port and isinstance(port, str | int) else host
