"""The text of a value."""

from __future__ import annotations

import pytest

from khien.events.batch import MISSING
from khien.events.text import value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Tỉnh", "Tỉnh"),
        ("", ""),
        (4688, "4688"),
        (-1, "-1"),
        (3.0, "3"),
        (0.1, "0.1"),
        (1e300, str(int(1e300))),
        (True, "true"),
        (False, "false"),
        ({"a": [1, "b"]}, '{"a":[1,"b"]}'),
        ({1: "x"}, '{"1":"x"}'),
        (10**30, "1" + "0" * 30),
    ],
)
def test_values_have_the_text_that_patterns_are_compared_with(value: object, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize("value", [None, MISSING, [], ["a"]])
def test_null_missing_and_lists_have_no_text_of_their_own(value: object) -> None:
    assert value_text(value) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_floats_that_are_no_numbers_have_a_text_too(value: float) -> None:
    assert value_text(value) == repr(value)


@pytest.mark.parametrize("value", [{"big": 10**30}, {"bad": "\ud800"}])
def test_objects_that_json_cannot_hold_have_a_text_too(value: object) -> None:
    assert isinstance(value_text(value), str)
