"""Every setting once: its type, default, environment variables, check and meaning.

A value comes from, first found wins: the keyword argument; the framework's own mapping; the environment; the default.
``docs/settings.md`` is generated from this module by ``scripts/settings.py``.
"""
# ruff: noqa: RUF009 - what `_setting` makes is immutable

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, get_args

from swprof_mw.ant_pattern import ant_pattern

Given = Mapping[str, object]
Environ = Mapping[str, str] | None
Properties = tuple[tuple[str, str], ...]
Kind = tuple[str, Callable[[Any], Any]]
TraceReport = Literal["all", "profiled"]
Transport = Literal["auto", "grpc"]
UrlTag = Literal["path", "route", "off"]
CodeSignature = Literal["short", "full"]


class ConfigError(ValueError):
    """A setting that is unknown or out of range: which one, where it came from, its value, and what would be right."""


class Setting(NamedTuple):
    """All there is to know of a setting but its name, which is that of its field of `Config`."""

    default: object
    expected: str  # what it accepts, in words that follow "must be"
    parse: Callable[[Any], Any]  # raises ValueError or TypeError
    environment: tuple[str, ...]  # the first one that is set wins
    meaning: str
    unset: str = "none"  # what an empty default amounts to
    app: bool = False  # one value for each app; otherwise one for all apps of the process
    secret: bool = False


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # a broken environment has lone surrogates: protobuf would refuse them, but much later
    return value.strip()


def _matching(pattern: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not re.fullmatch(pattern, text := _text(value)):
            raise ValueError
        return text

    return parse


def _file(value: Any) -> str:
    path = _text(os.fspath(value))
    if path and not (os.path.isfile(path) and os.access(path, os.R_OK)):
        raise ValueError
    return path and os.path.abspath(path)  # read later, and a server may change its directory before that


def _items(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple, set, frozenset)):
        raise TypeError
    return tuple(filter(None, map(_text, parts)))


def _addresses(value: Any) -> tuple[str, ...]:
    addresses = _items(value)
    for address in addresses or ("",):
        match = re.fullmatch(r"(?:\[([^\]]+)\]|[^\s:/@\[\]]+):([0-9]{1,5})", address)
        if not match or not 1 <= int(match[2]) <= 65535:
            raise ValueError
        if match[1]:
            import ipaddress  # rarely needed, and slower to import than all of this module

            ipaddress.IPv6Address(match[1])
    return addresses


def _properties(value: Any) -> Properties:
    pairs = json.loads(value) if isinstance(value, str) else value
    if not (isinstance(pairs, Mapping) and all(isinstance(item, (str, int, float)) for item in pairs.values())):
        raise TypeError
    texts = {_text(key): _text(item if isinstance(item, str) else json.dumps(item)) for key, item in pairs.items()}
    return tuple(sorted(texts.items()))  # sorted, so that two apps giving the same ones agree


def _number(kind: type[int | float], low: float, high: float = math.inf, unit: str = "", above: bool = False) -> Kind:
    # from `low` to `high`, both included; `above`: without `low` itself
    def parse(value: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, (str, int, kind)):
            raise TypeError
        number = kind(value) if isinstance(value, str) else value
        if not low <= number <= high or (above and number == low):  # NaN is in no range
            raise ValueError
        return kind(number)

    span = f"above {low}, up to {high}" if above else f"from {low} to {high}".replace(" to inf", " up")
    return f"{'a whole number' if kind is int else 'a number'} {span} {unit}".strip(), parse


def _choice(choices: tuple[str, ...]) -> Kind:
    return " or ".join(map(repr, choices)), lambda value: choices[choices.index(_text(value).lower())]


_FLAGS = ("true", "on", "1", "yes", "false", "off", "0", "no")
_FLAG: Kind = "on or off (or true, false, yes, no, 1, 0)", lambda value: _FLAGS.index(str(value).strip().lower()) < 4
_TEXT = "text (in UTF-8)", _text
_FILE = "the path of a readable file", _file
_SECONDS = _number(float, 0.1, 3600, "seconds")


def _setting(default: object, kind: Kind, environment: str, meaning: str, **more: Any) -> Any:
    setting = Setting(default, *kind, tuple(environment.split()), meaning, **more)
    return field(default=default, repr=not setting.secret, metadata={"setting": setting})


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one app, checked: made by `load`, and never changed. Times are in the unit their meaning has."""

    # fmt: off
    enabled: bool = _setting(True, _FLAG, "SWPROF_ENABLED", "Off gives back the app: no thread, no import", app=True)
    service_name: str = _setting("", _TEXT, "SW_AGENT_NAME", app=True, unset="the app's own name",
        meaning="The name of the service in SkyWalking")
    instance_name: str = _setting("", _TEXT, "SW_AGENT_INSTANCE_NAME", unset="unique for each process",
        meaning="The name of the instance; a given one gets the host's name and the process id added")
    namespace: str = _setting("", _TEXT, "SW_AGENT_NAMESPACE", "The namespace the service belongs to")
    backend_services: tuple[str, ...] = _setting(("127.0.0.1:11800",), (
        "host:port (an IPv6 host in brackets, a port from 1 to 65535), several by commas or as a list", _addresses),
        "SW_AGENT_COLLECTOR_BACKEND_SERVICES", "The addresses of the backend's gRPC service")
    authentication: str = _setting("", ("printable ASCII text", _matching("[ -~]*")),  # as gRPC metadata must be
        "SW_AGENT_AUTHENTICATION", "The token the backend asks for; never logged or shown", secret=True)
    force_tls: bool = _setting(False, _FLAG, "SW_AGENT_FORCE_TLS", "Speak TLS to the backend even if no file is given")
    tls_ca: str = _setting("", _FILE, "SWPROF_TLS_CA",
        "PEM file of the authorities that the backend's certificate is checked against; turns TLS on")
    tls_cert: str = _setting("", _FILE, "SWPROF_TLS_CERT",
        "PEM file of our own certificate for mutual TLS, only together with `tls_key`; turns TLS on")
    tls_key: str = _setting("", _FILE, "SWPROF_TLS_KEY", "PEM file of the private key of `tls_cert`")
    transport: Transport = _setting("auto", _choice(get_args(Transport)), "SWPROF_TRANSPORT",
        "`grpc`: make calls with the grpc library, if it is there; `auto`: only where a proxy or TLS needs it")
    heartbeat_period: float = _setting(30.0, _SECONDS, "SW_AGENT_COLLECTOR_HEARTBEAT_PERIOD",
        "Seconds between two keep-alive messages to the backend")
    instance_properties: Properties = _setting((), ("a JSON object or dict of text, numbers, booleans",
        _properties), "SW_AGENT_INSTANCE_PROPERTIES_JSON", "More properties to show with the instance in SkyWalking")
    profile_active: bool = _setting(True, _FLAG, "SW_AGENT_PROFILE_ACTIVE", "Take profile tasks", app=True)
    profile_task_query_interval: float = _setting(20.0, _SECONDS,
        "SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL SW_PROFILE_TASK_QUERY_INTERVAL",
        "Seconds between two questions to the backend for new profile tasks")
    profile_max_parallel: int = _setting(5, _number(int, 1, 1000),
        "SW_AGENT_PROFILE_MAX_PARALLEL", "Requests that are sampled at once")
    profile_duration: float = _setting(10.0, _number(float, 0, 1440, "minutes", above=True),
        "SW_AGENT_PROFILE_DURATION", "Minutes after which a request is sampled no longer")
    profile_dump_max_stack_depth: int = _setting(500, _number(int, 3, 100_000), "SW_AGENT_PROFILE_DUMP_MAX_STACK_DEPTH",
        "Lines kept of a stack: of a deeper one the root, a line that counts the frames left out, and the innermost")
    profile_snapshot_transport_buffer_size: int = _setting(4500, _number(int, 1),
        "SW_AGENT_PROFILE_SNAPSHOT_TRANSPORT_BUFFER_SIZE", "Snapshots that can wait to be sent; others are dropped")
    profile_switch_interval: float = _setting(0.5, _number(float, 0, 100, "milliseconds"), "SWPROF_SWITCH_INTERVAL",
        "The interpreter's switch interval in milliseconds while a request is sampled, put back after; 0: left alone")
    trace_reporter_max_buffer_size: int = _setting(10_000, _number(int, 1),
        "SW_AGENT_TRACE_REPORTER_MAX_BUFFER_SIZE", "Segments that can wait to be sent; others are dropped")
    profile_max_cpu: float = _setting(5.0, _number(float, 0, 100, "percent of a core", above=True),
        "SWPROF_MAX_CPU",
        "Percent of a core, over some seconds; above it the sampler lengthens its period, and the profile says so")
    profile_mark_waiting: bool = _setting(True, _FLAG, "SWPROF_MARK_WAITING",
        "Mark the samples in which a request waits instead of running")
    trace_report: TraceReport = _setting("all", _choice(get_args(TraceReport)), "SWPROF_TRACE_REPORT", app=True,
        meaning="`profiled`: only profiled requests' segments, and one of each endpoint every 10 min, to be picked")
    long_lived_analysis: bool = _setting(False, _FLAG, "SWPROF_LONG_LIVED_ANALYSIS", app=True,
        meaning="Count WebSockets and event streams in the service's metrics, whose percentiles they ruin")
    url_tag: UrlTag = _setting("path", _choice(get_args(UrlTag)), "SWPROF_URL_TAG", app=True,
        meaning="What a span's `url` tag shows: the path, only the route, or no such tag")
    exception_messages: bool = _setting(True, _FLAG, "SWPROF_EXCEPTION_MESSAGES", app=True,
        meaning="Whether a failed span carries the exception's message, or only its type and the places it passed")
    sample_n_per_3_secs: int = _setting(0, _number(int, 0), "SW_SAMPLE_N_PER_3_SECS", app=True,
        meaning="Segments sent in 3 seconds, 0: all of them; that of a profiled request is sent in any case")
    trace_ignore_path: tuple[str, ...] = _setting((), ("Ant style patterns, by commas or as a list", _items),
        "SW_AGENT_TRACE_IGNORE_PATH", app=True, meaning="Paths neither traced nor profiled: `?` is one character, "
        "`*` any within a segment, `**` any, `/**/` any segments or none")
    ignore_methods: frozenset[str] = _setting(frozenset(), ("HTTP methods, by commas or as a list",
        lambda value: frozenset(map(_matching("[A-Z0-9_-]+"), map(str.upper, _items(value))))),
        "SW_PLUGIN_HTTP_IGNORE_METHOD", "HTTP methods neither traced nor profiled", app=True)
    endpoint_format: str = _setting("{route}", ("text with {route} in it, and no braces but {route} and {method}",
        _matching(r"(?s)(?=.*\{route\})([^{}]|\{route\}|\{method\})*")),
        "SWPROF_ENDPOINT_FORMAT", "The name of an endpoint, for example `{method}:{route}`", app=True)
    code_signature: CodeSignature = _setting("short", _choice(get_args(CodeSignature)), "SWPROF_CODE_SIGNATURE",
        "A frame's file: its path below the entry of `sys.path`, or the full path")
    # fmt: on
    _ignored: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ignored", tuple(map(ant_pattern, self.trace_ignore_path)))

    @classmethod
    def load(
        cls, keywords: Given, framework: Given | None = None, environ: Environ = None, framework_source: str = "SWPROF"
    ) -> "Config":
        """The settings out of all sources: `explain` has the arguments, and when it raises `ConfigError`."""
        found = explain(keywords, framework, environ, framework_source)
        return cls(**{name: value for name, (value, _) in found.items()})

    def ignores(self, method: str, path: str) -> bool:
        """Whether a request is neither traced nor profiled: `method` in capitals, `path` decoded and without query."""
        return method in self.ignore_methods or any(pattern.match(path) for pattern in self._ignored)

    def process_wide(self) -> dict[str, object]:
        """The settings all apps of a process must agree on, `authentication` in clear among them."""
        return {name: getattr(self, name) for name, setting in SETTINGS.items() if not setting.app}

    def disagreement(self, other: "Config") -> str | None:
        """A sentence on the first process-wide setting that differs from `other`'s, with both values, or None."""
        theirs = other.process_wide()
        for name, ours in self.process_wide().items():
            if ours != theirs[name]:
                both = f"{shown(name, ours)} and {shown(name, theirs[name])}"
                return f"{name} must be the same in all apps of a process, but two of them have {both}"
        return None


SETTINGS: dict[str, Setting] = {each.name: each.metadata["setting"] for each in fields(Config) if each.metadata}
"""Each setting by its name, in the order of the documentation."""


def shown(name: str, value: object) -> str:
    """The value of a setting as messages and pages may show it."""
    return "a value not shown" if SETTINGS[name].secret and value != "" else repr(value)


def explain(
    keywords: Given, framework: Given | None = None, environ: Environ = None, framework_source: str = "SWPROF"
) -> dict[str, tuple[Any, str]]:
    """Each setting's value and its source, as `Config.load` takes them; see `shown` before printing a value.

    Of `keywords` and `framework`, a None in them counts as not given, and so does an empty variable of `environ`, by
    default the process's own; `framework_source` is what messages call `framework`. A name that is unknown, a value
    out of range, and one of tls_cert and tls_key without the other raise `ConfigError`.
    """
    if not isinstance(framework, (Mapping, type(None))):
        raise ConfigError(f"{framework_source} must be a dict of settings, but is of type {type(framework).__name__}")
    sources = {"keyword argument": keywords, framework_source: framework or {}}
    _refuse_unknown(sources)
    found = {name: _find(name, sources, os.environ if environ is None else environ) for name in SETTINGS}
    for given, missing in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        value, source = found[given]
        if value and not found[missing][0]:
            raise ConfigError(f"{given} must be given together with {missing}, but is alone: {value!r} ({source})")
    return found


def _refuse_unknown(sources: Mapping[str, Given]) -> None:
    for source, name in ((key, str(name)) for key, given in sources.items() for name in given if name not in SETTINGS):
        import difflib  # only a mistake pays for it

        near = difflib.get_close_matches(name.lower(), SETTINGS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the settings are {', '.join(SETTINGS)}"
        raise ConfigError(f"unknown setting {name!r} ({source}): {hint}")  # no value: a misspelt secret's, maybe


def _find(name: str, sources: Mapping[str, Given], environ: Mapping[str, str]) -> tuple[object, str]:
    setting = SETTINGS[name]
    variables = {f"environment variable {each}": environ.get(each, "").strip() or None for each in setting.environment}
    given = {source: values.get(name) for source, values in sources.items()} | variables
    for source, value in given.items():
        if value is not None:
            try:
                return setting.parse(value), source
            except (ValueError, TypeError):
                message = f"{name} must be {setting.expected}, but is {shown(name, value)} ({source})"
                raise ConfigError(message) from None  # the first error's text could hold a secret
    return setting.default, "default"
