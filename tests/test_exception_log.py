"""What an exception leaves in its span: enough to find it, none of it dangerous to gather."""

from __future__ import annotations

import linecache

import pytest

from swprof_mw.exception_log import FRAMES, exception_log


class ShopError(Exception):
    """An app's own."""


def raised(exception: BaseException, depth: int = 0) -> BaseException:
    """The exception, raised so many calls further inside."""

    def fall(left: int) -> None:
        if left:
            fall(left - 1)
        raise exception

    try:
        fall(depth)
    except BaseException as caught:
        return caught
    raise AssertionError("unreachable")


def test_it_says_type_message_and_stack() -> None:
    found = dict(exception_log(raised(ShopError("sold out")), with_message=True))
    assert found["event"] == "error"
    assert found["error.kind"] == f"{__name__}.ShopError"
    assert found["message"] == "sold out"
    lines = found["stack"].split("\n")
    assert [line.rpartition(", in ")[2] for line in lines] == ["raised", "fall"]
    assert all(line.startswith(f'File "{__file__}", line ') for line in lines)


def test_a_built_in_exception_has_its_name_too() -> None:
    assert dict(exception_log(raised(KeyError("uid")), True))["error.kind"] == "builtins.KeyError"


def test_the_message_can_be_left_out() -> None:
    found = dict(exception_log(raised(ShopError("card 1234")), with_message=False))
    assert "message" not in found
    assert "1234" not in str(found)


def test_a_deep_stack_keeps_its_innermost_frames() -> None:
    found = dict(exception_log(raised(ShopError(), depth=FRAMES * 3), True))
    lines = found["stack"].split("\n")
    assert len(lines) == FRAMES
    assert all(line.endswith("in fall") for line in lines)


def test_a_long_message_is_cut() -> None:
    assert len(dict(exception_log(raised(ShopError("x" * 1_000_000)), True))["message"]) == 2_000


def test_an_exception_that_was_never_raised_has_no_stack() -> None:
    assert dict(exception_log(ShopError("made"), True))["stack"] == ""


def test_no_source_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> list[str]:
        raise AssertionError("a file was read while a request waited")

    monkeypatch.setattr(linecache, "getlines", refuse)
    monkeypatch.setattr(linecache, "updatecache", refuse)
    assert exception_log(raised(ShopError()), True)


class Mute(Exception):
    """One that cannot say what it is about."""

    def __str__(self) -> str:
        raise ValueError("no words")


class Strange(Exception):
    """One whose text is none."""

    def __str__(self) -> str:
        return 7  # type: ignore[return-value]


class Ending(Exception):
    """One whose text ends the process, in the place of the app's own exception."""

    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("exception", "kind"), [(Mute(), "ValueError"), (Strange(), "TypeError"), (Ending(), "SystemExit")]
)
def test_an_exception_that_fails_to_say_anything_is_logged_all_the_same(exception: Exception, kind: str) -> None:
    assert dict(exception_log(raised(exception), True))["message"] == f"<no text: {kind} in __str__>"
