"""The settings: where they come from, what they accept, what a mistake is answered with."""

import os
import pathlib
import pickle
import random
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest

from swprof_mw.ant_pattern import ant_pattern
from swprof_mw.config import SETTINGS, Config, ConfigError, explain, shown

ROOT = pathlib.Path(__file__).resolve().parent.parent
SECRET = "s3cret-token"
FLAGS = "on or off (or true, false, yes, no, 1, 0)"
FILE = "the path of a readable file"
ADDRESSES = "host:port (an IPv6 host in brackets, a port from 1 to 65535), several by commas or as a list"
PROPERTIES = "a JSON object or dict of text, numbers, booleans"
NO_PROPERTIES: list[object] = ["", "{", "[1]", '{"a": null}', '{"a": [1]}', {"a": {}}, {1: "a"}, [("a", "b")]]
BRACES = "text with {route} in it, and no braces but {route} and {method}"

# of each setting but the three files: a text that is not its default, and what it is parsed to
TEXTS: dict[str, tuple[str, object]] = {
    "enabled": ("off", False),
    "service_name": (" shop ", "shop"),
    "instance_name": ("one", "one"),
    "namespace": ("eu", "eu"),
    "backend_services": ("oap:11800, [::1]:1,10.0.0.1:65535,", ("oap:11800", "[::1]:1", "10.0.0.1:65535")),
    "authentication": (SECRET + "\n", SECRET),
    "force_tls": ("Yes", True),
    "transport": ("GRPC", "grpc"),
    "heartbeat_period": ("0.1", 0.1),
    "instance_properties": ('{"b": "x", "a": 1.5, "c": true}', (("a", "1.5"), ("b", "x"), ("c", "true"))),
    "profile_active": ("FALSE", False),
    "profile_task_query_interval": ("3600", 3600.0),
    "profile_max_parallel": ("1000", 1000),
    "profile_duration": ("0.5", 0.5),
    "profile_dump_max_stack_depth": ("3", 3),
    "profile_snapshot_transport_buffer_size": ("1", 1),
    "profile_switch_interval": ("0", 0.0),
    "trace_reporter_max_buffer_size": ("1", 1),
    "profile_max_cpu": ("100", 100.0),
    "profile_mark_waiting": ("0", False),
    "trace_report": ("Profiled", "profiled"),
    "long_lived_analysis": ("1", True),
    "url_tag": ("route", "route"),
    "exception_messages": ("no", False),
    "sample_n_per_3_secs": ("7", 7),
    "trace_ignore_path": ("/health, /static/**", ("/health", "/static/**")),
    "ignore_methods": ("options,Head", frozenset({"OPTIONS", "HEAD"})),
    "endpoint_format": ("{method}:{route}", "{method}:{route}"),
    "code_signature": ("full", "full"),
}
VARIABLES = [(name, variable) for name, setting in SETTINGS.items() for variable in setting.environment]

# name, a value that is refused, what it must be instead
REFUSED: list[tuple[str, object, str]] = [
    ("enabled", "maybe", FLAGS),
    ("enabled", 2, FLAGS),
    ("service_name", 5, "text (in UTF-8)"),
    ("service_name", "caf\udce9", "text (in UTF-8)"),
    ("instance_name", b"one", "text (in UTF-8)"),
    ("namespace", ["eu"], "text (in UTF-8)"),
    *(
        ("backend_services", value, ADDRESSES)
        for value in (
            "",
            ",",
            "oap",
            "oap:0",
            "oap:65536",
            "http://oap:11800",
            "::1:11800",
            "[::1]",
            "[oap]:1",
            "a b:1",
        )
    ),
    ("backend_services", 11800, ADDRESSES),
    ("backend_services", [("oap", 11800)], ADDRESSES),
    ("force_tls", "", FLAGS),
    ("tls_ca", "/nowhere/ca.pem", FILE),
    ("tls_cert", os.sep, FILE),
    ("tls_key", 7, FILE),
    ("heartbeat_period", "0.09", "a number from 0.1 to 3600 seconds"),
    ("heartbeat_period", 3601, "a number from 0.1 to 3600 seconds"),
    ("heartbeat_period", "nan", "a number from 0.1 to 3600 seconds"),
    ("heartbeat_period", True, "a number from 0.1 to 3600 seconds"),
    ("heartbeat_period", 10**400, "a number from 0.1 to 3600 seconds"),
    *(("instance_properties", value, PROPERTIES) for value in NO_PROPERTIES),
    ("profile_active", "enabled", FLAGS),
    ("profile_task_query_interval", "20s", "a number from 0.1 to 3600 seconds"),
    ("profile_max_parallel", 0, "a whole number from 1 to 1000"),
    ("profile_max_parallel", "1001", "a whole number from 1 to 1000"),
    ("profile_max_parallel", 2.0, "a whole number from 1 to 1000"),
    ("profile_max_parallel", "2.5", "a whole number from 1 to 1000"),
    ("profile_duration", 0, "a number above 0, up to 1440 minutes"),
    ("profile_duration", "1441", "a number above 0, up to 1440 minutes"),
    ("profile_dump_max_stack_depth", 2, "a whole number from 3 to 100000"),
    ("profile_dump_max_stack_depth", 100_001, "a whole number from 3 to 100000"),
    ("profile_snapshot_transport_buffer_size", "0", "a whole number from 1 up"),
    ("profile_switch_interval", -0.1, "a number from 0 to 100 milliseconds"),
    ("profile_switch_interval", 100.5, "a number from 0 to 100 milliseconds"),
    ("trace_reporter_max_buffer_size", 0, "a whole number from 1 up"),
    ("profile_max_cpu", 0.0, "a number above 0, up to 100 percent of a core"),
    ("profile_max_cpu", "101", "a number above 0, up to 100 percent of a core"),
    ("profile_mark_waiting", "x", FLAGS),
    ("trace_report", "none", "'all' or 'profiled'"),
    ("transport", "http", "'auto' or 'grpc'"),
    ("long_lived_analysis", "-1", FLAGS),
    ("url_tag", False, "'path' or 'route' or 'off'"),
    ("exception_messages", [], FLAGS),
    ("sample_n_per_3_secs", -1, "a whole number from 0 up"),
    ("trace_ignore_path", 3, "Ant style patterns, by commas or as a list"),
    ("trace_ignore_path", [3], "Ant style patterns, by commas or as a list"),
    ("ignore_methods", "GET POST", "HTTP methods, by commas or as a list"),
    *(("endpoint_format", value, BRACES) for value in ("", "{method}", "{route}{path}", "{route}}", "{ro{route}ute}")),
    ("code_signature", "long", "'short' or 'full'"),
]


@pytest.fixture
def text_of(tmp_path: pathlib.Path) -> Mapping[str, tuple[str, object]]:
    """`TEXTS`, and the three files, which exist."""
    paths = {name: str(tmp_path / name) for name in ("tls_ca", "tls_cert", "tls_key")}
    for path in paths.values():
        pathlib.Path(path).touch()
    return TEXTS | {name: (path, path) for name, path in paths.items()}


def load(keywords: Mapping[str, object], framework: Mapping[str, object] | None = None, **environ: str) -> Config:
    """`Config.load` in an environment of its own."""
    return Config.load(keywords, framework, environ)


def refusal(keywords: Mapping[str, object], framework: Mapping[str, object] | None = None, **environ: str) -> str:
    """The message of the error that these settings raise."""
    with pytest.raises(ConfigError) as caught:
        load(keywords, framework, **environ)
    return str(caught.value)


def test_defaults() -> None:
    config = load({})
    assert config == Config()
    assert (config.enabled, config.service_name, config.backend_services) == (True, "", ("127.0.0.1:11800",))
    assert (config.profile_task_query_interval, config.profile_max_parallel, config.profile_duration) == (20, 5, 10)
    assert (config.profile_switch_interval, config.profile_max_cpu, config.endpoint_format) == (0.5, 5, "{route}")


def test_each_default_passes_its_own_check() -> None:
    for setting in SETTINGS.values():
        if setting.default != ():
            assert setting.parse(setting.default) == setting.default


@pytest.mark.parametrize(("name", "variable"), VARIABLES)
def test_each_variable(name: str, variable: str, text_of: Mapping[str, tuple[str, object]]) -> None:
    text, value = text_of[name]
    pair = {"SWPROF_TLS_CERT": text_of["tls_cert"][0], "SWPROF_TLS_KEY": text_of["tls_key"][0]}
    config = load({}, None, **(pair if variable in pair else {variable: text}))
    assert getattr(config, name) == value != SETTINGS[name].default
    assert type(getattr(config, name)) is type(SETTINGS[name].default)


@pytest.mark.parametrize(("name", "variable"), VARIABLES)
@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_variable_is_not_set(name: str, variable: str, empty: str) -> None:
    assert explain({}, None, {variable: empty})[name] == (SETTINGS[name].default, "default")


def test_the_first_variable_listed_wins() -> None:
    first, second = SETTINGS["profile_task_query_interval"].environment
    assert (first, second) == ("SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL", "SW_PROFILE_TASK_QUERY_INTERVAL")
    assert load({}, None, **{second: "2", first: "1"}).profile_task_query_interval == 1
    assert load({}, None, **{second: "2", first: ""}).profile_task_query_interval == 2


@pytest.mark.parametrize(
    ("name", "keyword", "framework", "variable"),
    [
        ("enabled", False, True, "no"),
        ("service_name", "a", "b", "c"),
        ("backend_services", ["a:1"], "b:2", "c:3"),
        ("heartbeat_period", 1, 2.5, "3"),
        ("instance_properties", {"a": 1}, '{"b": 2}', '{"c": 3}'),
        ("profile_max_parallel", 1, "2", "3"),
        ("url_tag", "off", "route", "path"),
        ("trace_ignore_path", ["/a"], ("/b", "/c"), "/d"),
        ("ignore_methods", {"get"}, ["POST"], "PUT"),
    ],
)
def test_precedence(name: str, keyword: object, framework: object, variable: str) -> None:
    parse, environ = SETTINGS[name].parse, {SETTINGS[name].environment[0]: variable}
    source = f"environment variable {SETTINGS[name].environment[0]}"
    given, late = {name: keyword}, {name: framework}
    assert explain(given, late, environ)[name] == (parse(keyword), "keyword argument")
    assert explain({}, late, environ)[name] == (parse(framework), "SWPROF")
    assert explain({name: None}, {name: None}, environ)[name] == (parse(variable), source)
    assert explain({}, {}, {})[name] == (SETTINGS[name].default, "default")
    assert getattr(Config.load(given, late, environ), name) == parse(keyword)
    assert getattr(Config.load({}, late, environ), name) == parse(framework)


def test_the_environment_is_by_default_the_process_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SW_AGENT_NAME", "shop")
    assert Config.load({}).service_name == "shop"


@pytest.mark.parametrize("text", ["true", "ON", "1", "Yes", " on "])
def test_on(text: str) -> None:
    assert load({"force_tls": text}).force_tls is True
    assert load({}, None, SW_AGENT_FORCE_TLS=text).force_tls is True


@pytest.mark.parametrize("text", ["false", "OFF", "0", "No"])
def test_off(text: str) -> None:
    assert load({"enabled": text}).enabled is False


@pytest.mark.parametrize(("name", "value", "expected"), REFUSED)
def test_refused(name: str, value: object, expected: str) -> None:
    assert refusal({name: value}) == f"{name} must be {expected}, but is {value!r} (keyword argument)"
    assert refusal({}, {name: value}) == f"{name} must be {expected}, but is {value!r} (SWPROF)"
    if isinstance(value, str) and value:
        variable = SETTINGS[name].environment[-1]
        message = refusal({}, None, **{variable: value})
        assert message == f"{name} must be {expected}, but is {value!r} (environment variable {variable})"


def test_each_setting_but_the_secret_and_none_else_is_refused_something() -> None:
    assert {name for name, _, _ in REFUSED} == set(SETTINGS) - {"authentication"}


def test_the_framework_s_source_has_its_name() -> None:
    with pytest.raises(ConfigError, match=re.escape('is 0 (app.config["SWPROF"])')):
        Config.load({}, {"profile_max_parallel": 0}, {}, 'app.config["SWPROF"]')


def test_what_is_overridden_is_not_checked() -> None:
    assert load({"profile_max_parallel": 2}, {"profile_max_parallel": 0}).profile_max_parallel == 2


def test_a_framework_s_settings_that_are_no_dict() -> None:
    with pytest.raises(ConfigError, match=r"^SWPROF must be a dict of settings, but is of type str$"):
        Config.load({}, "shop", {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "near"),
    [("servce_name", "service_name"), ("BACKEND_SERVICES", "backend_services"), ("max_cpu", "profile_max_cpu")],
)
def test_unknown_names(name: str, near: str) -> None:
    assert refusal({name: "x"}) == f"unknown setting {name!r} (keyword argument): did you mean {near!r}?"
    assert refusal({}, {name: "x"}) == f"unknown setting {name!r} (SWPROF): did you mean {near!r}?"
    assert refusal({name: None}).startswith("unknown setting")


def test_an_unknown_name_like_no_other() -> None:
    message = refusal({}, {17: 1})  # type: ignore[dict-item]
    assert message.startswith("unknown setting '17' (SWPROF): the settings are enabled, service_name, ")


def test_an_unreadable_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    assert FILE in refusal({"tls_ca": str(tmp_path / "ca.pem")})


def test_a_file_s_path_becomes_absolute(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").touch()
    monkeypatch.chdir(tmp_path)
    assert load({"tls_ca": pathlib.Path("ca.pem")}).tls_ca == str(tmp_path / "ca.pem")
    assert load({"tls_ca": ""}).tls_ca == ""


@pytest.mark.parametrize(("given", "missing"), [("tls_cert", "tls_key"), ("tls_key", "tls_cert")])
def test_certificate_and_key_go_together(given: str, missing: str, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "one.pem")
    pathlib.Path(path).touch()
    message = f"{given} must be given together with {missing}, but is alone: {path!r} (keyword argument)"
    assert refusal({given: path}) == message
    assert load({given: path}, {missing: path}).tls_cert == path


def test_the_secret_is_never_shown() -> None:
    config = load({"authentication": SECRET})
    assert config.authentication == SECRET
    assert SECRET not in repr(config)
    assert "authentication" not in repr(config)
    assert shown("authentication", SECRET) == "a value not shown"
    assert SECRET not in (config.disagreement(load({})) or SECRET)


@pytest.mark.parametrize("value", [SECRET + "\n" + SECRET, SECRET + "é", SECRET + "\udce9", SECRET.encode(), [SECRET]])
def test_an_error_does_not_show_the_secret(value: object) -> None:
    message = "authentication must be printable ASCII text, but is a value not shown (keyword argument)"
    assert refusal({"authentication": value}) == message


def test_a_misspelt_secret_is_not_shown_either() -> None:
    assert SECRET not in refusal({"authentification": SECRET})


def test_immutable_and_picklable() -> None:
    config = load({"trace_ignore_path": "/health", "service_name": "shop"})
    with pytest.raises(AttributeError):
        config.service_name = "other"  # type: ignore[misc]
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    assert hash(again) == hash(config)
    assert again.ignores("GET", "/health")


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("/health", ["/health"], ["/health/", "/healthy", "/a/health", "/HEALTH", "/health\n"]),
        ("/a.b+(c)", ["/a.b+(c)"], ["/aXb+(c)", "/a.bb(c)"]),
        ("/a\\?", ["/a\\x"], ["/a?", "/a\\"]),
        ("/a/?", ["/a/b"], ["/a/", "/a/bc", "/a//"]),
        ("/a/*", ["/a/", "/a/b", "/a/b\nc"], ["/a", "/a/b/", "/a/b/c"]),
        ("/*.js", ["/x.js", "/.js", "/x.js.js"], ["/x.jsx", "/a/x.js"]),
        ("/a*b*c", ["/abc", "/aXbXbc", "/abbcc"], ["/acb", "/ab/c"]),
        ("/a/**", ["/a/", "/a/b", "/a/b/c/"], ["/a", "/ab", "/b/a/"]),
        ("/a/**/z", ["/a/z", "/a/b/z", "/a/b/c/z"], ["/az", "/a/bz", "/a/z/b"]),
        ("/**/x/**/*.js", ["/x/y.js", "/a/x/b/c/y.js"], ["/ax/y.js", "/x.js", "/x/y.css"]),
        ("**/x", ["x", "/x", "/a/x"], ["/ax"]),
        ("**x", ["x", "/x", "/ax", "/a/x"], ["/xa"]),
        ("/a**b*c", ["/abc", "/a/x/bc", "/a/ab/bc"], ["/a/b/c", "/bc"]),
        ("**", ["", "/", "/a/b"], []),
        ("***/**/**/a", ["/a", "/b/c/a"], ["/ab"]),
    ],
)
def test_ant_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    compiled = ant_pattern(pattern)
    assert [path for path in yes if not compiled.match(path)] == []
    assert [path for path in no if compiled.match(path)] == []


def test_ant_patterns_are_what_plain_backtracking_finds() -> None:
    chance = random.Random(11)
    plain = {"?": "[^/]", "*": "[^/]*", "**/": "(?:.*/)?"}
    for _ in range(3000):
        pattern = "".join(chance.choices(["a", "b", "/", "*", "**", "?", "/**/"], k=chance.randint(1, 8)))
        pieces = re.split(r"((?<![^/])\*\*/|\*\*+|[*?])", pattern)
        slow = re.compile("".join(plain.get(piece, ".*") if at % 2 else piece for at, piece in enumerate(pieces)))
        for path in ("".join(chance.choices("ab//", k=chance.randint(0, 9))) for _ in range(10)):
            assert bool(ant_pattern(pattern).match(path)) == bool(slow.fullmatch(path)), (pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/**/static/**/*.js", "/static" * 9000),
        ("/**/a/**/b/**/c/**/d", "/a/b/c" * 10_000),
        ("/*a*b*c*d*e", "/" + "abcd" * 16_000),
        ("**a*a*b", "a" * 64_000),
        ("/**/static/*/x/**/*.js", "/static/q/x" * 6000),
    ],
)
@pytest.mark.timeout(20)
def test_no_path_takes_long_to_match(pattern: str, path: str) -> None:
    assert not ant_pattern(pattern).match(path)  # some milliseconds; with backtracking: minutes


def test_what_is_ignored() -> None:
    config = load({"trace_ignore_path": "/health,/static/**", "ignore_methods": "options"})
    assert config.ignores("OPTIONS", "/")
    assert config.ignores("GET", "/health")
    assert config.ignores("GET", "/static/a/b.js")
    assert not config.ignores("GET", "/")
    assert not load({}).ignores("OPTIONS", "/health")


OTHERS = {
    "trace_report", "long_lived_analysis", "url_tag", "exception_messages", "sample_n_per_3_secs", "trace_ignore_path",
    "ignore_methods", "endpoint_format", "profile_active", "enabled", "service_name",
}  # fmt: skip


def test_what_is_process_wide() -> None:
    assert set(load({}).process_wide()) == set(SETTINGS) - OTHERS
    assert load({"profile_max_cpu": 7}).process_wide()["profile_max_cpu"] == 7


@pytest.mark.parametrize("name", TEXTS)
def test_disagreement(name: str) -> None:
    ours, theirs = load({name: TEXTS[name][0]}), load({})
    sentence = ours.disagreement(theirs)
    assert ours.disagreement(ours) is None
    assert (sentence is None) == (name in OTHERS)
    if sentence:
        both = f"{shown(name, TEXTS[name][1])} and {SETTINGS[name].default!r}"
        assert sentence == f"{name} must be the same in all apps of a process, but two of them have {both}"


def test_properties_agree_in_any_order() -> None:
    ours, theirs = load({"instance_properties": {"a": 1, "b": 2}}), load({"instance_properties": '{"b": 2, "a": 1}'})
    assert ours.disagreement(theirs) is None


def test_the_page_is_up_to_date() -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "settings.py", "--check"], cwd=ROOT, check=True)


def test_importing_it_imports_no_framework_and_no_grpc() -> None:
    code = "import sys, swprof_mw.config; print({'grpc', 'google', 'flask', 'django', 'starlette'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
