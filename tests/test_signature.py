"""Places in code as text: the file below its root, the function, and the very line."""

from __future__ import annotations

import dis
import os
import pathlib
import sys
from types import CodeType, FrameType

import pytest

from swprof_mw import names
from swprof_mw.profiling import signature
from swprof_mw.profiling.signature import CodeSignatures, line_number, shorten

QUALIFIED = sys.version_info >= (3, 11)


class Shop:
    """Something with functions in functions."""

    def here(self) -> FrameType:
        """Its own frame."""
        return sys._getframe()

    def inner(self) -> FrameType:
        """The frame of a function in it."""

        def deep() -> FrameType:
            return sys._getframe()

        return deep()


def text_of(frame: FrameType, form: str = "short") -> str:
    """The signature of one frame."""
    [found] = CodeSignatures(form).texts([(frame.f_code, frame.f_lasti)])
    return found


def test_a_signature_is_file_function_and_line() -> None:
    frame = sys._getframe()
    line = frame.f_lineno + 1
    assert text_of(sys._getframe()).endswith(
        f"tests{os.sep}test_signature.py.test_a_signature_is_file_function_and_line: {line}"
    )


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (Shop().here(), "Shop.here" if QUALIFIED else "here"),
        (Shop().inner(), "Shop.inner.<locals>.deep" if QUALIFIED else "deep"),
    ],
)
def test_functions_have_their_qualified_name_where_python_knows_it(frame: FrameType, name: str) -> None:
    assert text_of(frame).partition(": ")[0].endswith(f"test_signature.py.{name}")


def test_the_full_form_has_the_whole_path() -> None:
    assert text_of(sys._getframe(), "full").startswith(os.path.abspath(__file__) + ".")


def test_the_short_form_leaves_the_longest_entry_of_the_path_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/srv", "/srv/app/", "", "/srv/ap"])
    assert shorten("/srv/app/shop/views.py") == "shop/views.py"
    assert shorten("/srv/other/views.py") == "other/views.py"
    assert shorten("/opt/views.py") == "/opt/views.py"
    assert shorten("<frozen importlib._bootstrap>") == "<frozen importlib._bootstrap>"


def test_what_is_no_text_in_the_path_is_passed_over_as_python_itself_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [pathlib.Path("/srv/app"), None, b"/srv/app", "/srv"])
    assert shorten("/srv/app/views.py") == "app/views.py"


def test_frames_of_this_package_have_no_text() -> None:
    own = names.cut.__code__
    mine = sys._getframe()
    found = CodeSignatures().texts([(own, 0), (mine.f_code, mine.f_lasti), (own, 0), (own, 2)])
    assert ["test_frames_of_this_package" in text for text in found] == [False, True, False, False]
    assert found[0] == found[2] == found[3] == ""


def test_an_app_whose_folder_has_a_name_like_ours_is_not_left_out() -> None:
    folder = os.path.dirname(os.path.abspath(names.__file__))
    code = compile("pass", f"{folder}_shop{os.sep}views.py", "exec")
    assert CodeSignatures().texts([(code, 0)])[0]


def multi(*frames: FrameType) -> list[FrameType]:
    """Its arguments."""
    return list(frames)


def position_here() -> tuple[CodeType, int, int]:
    """Code, offset and true line of the caller, which is in the middle of an expression."""
    frame = sys._getframe(1)
    return frame.f_code, frame.f_lasti, frame.f_lineno


def test_an_expression_over_several_lines_has_the_line_that_runs() -> None:
    first = sys._getframe().f_lineno + 2
    found = [
        position_here(),
        position_here(),
        max(
            position_here(),
            (Shop.here.__code__, -5, 0),
            key=lambda place: place[1],
        ),
    ]
    assert [line_number(code, offset) - first for code, offset, _ in found] == [0, 1, 3]
    assert [line_number(code, offset) for code, offset, _ in found] == [line for _, _, line in found]


def test_a_frame_that_has_not_begun_is_at_its_functions_first_line() -> None:
    assert line_number(Shop.here.__code__, -1) == Shop.here.__code__.co_firstlineno


def test_an_offset_beyond_the_code_is_at_its_functions_first_line() -> None:
    assert line_number(Shop.here.__code__, 100_000) == Shop.here.__code__.co_firstlineno


JUMPS_BACK = ("JUMP_BACKWARD", "JUMP_ABSOLUTE")


def looped(days: int) -> int:
    """A loop whose last line is not always run: the jump back has no line of its own from Python 3.11 on."""
    found = 0
    for day in range(days):
        if day % 3:
            found += day
    return found


def tried() -> None:
    """Has instructions that clean up, without a line."""
    try:
        looped(3)
    except ValueError:
        looped(4)


def instructions(code: CodeType, jumps: bool) -> list[int]:
    """Where the jumps back, or all others, are that Python knows no line of."""
    without = {at for start, end, line in code.co_lines() if line is None for at in range(start, end)}
    found = [each for each in dis.get_instructions(code) if each.offset in without]
    return [each.offset for each in found if (each.opname in JUMPS_BACK) == jumps]


def test_a_loop_s_jump_back_is_at_the_loop() -> None:
    code = looped.__code__
    first = code.co_firstlineno
    jumps = [each.offset for each in dis.get_instructions(code) if each.opname in JUMPS_BACK]
    assert jumps
    assert {line_number(code, offset) - first for offset in jumps} <= {3, 4, 5}
    assert {line_number(code, offset) - first for offset in instructions(code, jumps=True)} <= {3}


def test_other_instructions_without_a_line_are_at_the_functions_first() -> None:
    found = instructions(tried.__code__, jumps=False)
    assert found or sys.version_info < (3, 11)
    assert {line_number(tried.__code__, offset) for offset in found} <= {tried.__code__.co_firstlineno}


def test_every_instruction_has_the_line_that_python_says() -> None:
    for function in (Shop.inner, test_an_expression_over_several_lines_has_the_line_that_runs):
        code = function.__code__
        expected = {start: line for start, line in dis.findlinestarts(code) if line is not None}
        for start, line in expected.items():
            assert line_number(code, start) == line


def test_the_same_function_at_two_lines_has_two_texts() -> None:
    signatures = CodeSignatures()
    code, one, first = position_here()
    _, other, second = position_here()
    texts = signatures.texts([(code, one), (code, other), (code, one)])
    assert texts[0] == texts[2] != texts[1]
    assert texts[0].endswith(f": {first}")
    assert texts[1].endswith(f": {second}")


def test_the_cache_is_bounded_and_forgetting_changes_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature, "CACHE", 50)
    signatures = CodeSignatures()
    codes = [compile(f"\nvalue = {number}", f"<generated {number}>", "exec") for number in range(120)]
    for _ in range(2):
        texts = signatures.texts([(code, 0) for code in codes])
        assert [text.partition(".<module>")[0] for text in texts] == [code.co_filename for code in codes]
        assert sum(len(texts_of) for _, _, texts_of in signatures._codes.values()) <= 50


def test_code_that_came_to_lie_where_other_code_lay_is_not_taken_for_it() -> None:
    """Functions made for one request each: the cache goes by identity, so it has to keep them."""
    signatures = CodeSignatures()
    for number in range(300):
        code = compile("value = 1", f"<generated {number}>", "exec")
        [text] = signatures.texts([(code, 0)])
        assert text.startswith(f"<generated {number}>")
        del code
