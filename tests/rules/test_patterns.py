from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.rules.model import ANY, DASH, STAR
from khien.rules.patterns import Placeholders, expand_dashes, expand_placeholders, parse_text, show, windash


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("abc", ("abc",)),
        ("a*b?c", ("a", STAR, "b", ANY, "c")),
        ("**a", (STAR, "a")),
        (r"a\*b", ("a*b",)),
        (r"a\?b", ("a?b",)),
        (r"a\\*b", ("a\\", STAR, "b")),
        (r"C:\Windows\x", (r"C:\Windows\x",)),
        (r"\\server", (r"\server",)),
        ("end\\", ("end\\",)),
    ],
)
def test_wildcards_and_escapes_are_read_as_the_specification_says(text: str, parts: tuple[object, ...]) -> None:
    assert parse_text(text) == parts


@given(st.text(alphabet="ab*?\\"))
def test_shown_text_is_the_same_pattern_again_where_no_backslash_stands_before_a_wildcard(text: str) -> None:
    parts = parse_text(text)
    if not any(isinstance(p, str) and ("\\" in p) for p in parts):
        assert parse_text(show(parts)) == parts


def test_windash_lets_every_dash_that_begins_a_word_be_any_dash() -> None:
    assert windash(parse_text(" -enc a-b /c")) == (" ", DASH, "enc a-b ", DASH, "c")
    assert len(expand_dashes(windash(parse_text("-a")))) == 5


def test_more_than_three_dashes_are_no_problem() -> None:
    parts = windash(parse_text("-a -b -c -d -e"))
    assert parts.count(DASH) == 5
    assert expand_dashes(parts) == [parts]


def test_placeholders_multiply_and_missing_ones_are_remembered() -> None:
    given_values = Placeholders({"a": ["x", "y*"], "b": [1, 2]})
    assert expand_placeholders("%a%-%b%", given_values) == [
        ("x-1",),
        ("x-2",),
        ("y", STAR, "-1"),
        ("y", STAR, "-2"),
    ]
    assert expand_placeholders("%none%", given_values) == []
    assert given_values.missing == {"none"}
