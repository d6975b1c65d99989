"""The keyword arguments that type checkers see are the settings there are."""

from __future__ import annotations

from swprof_mw.config import SETTINGS
from swprof_mw.settings import Settings


def test_the_keyword_arguments_are_the_settings_in_their_order() -> None:
    assert list(Settings.__annotations__) == list(SETTINGS)


def test_none_of_them_has_to_be_given() -> None:
    assert Settings.__total__ is False
