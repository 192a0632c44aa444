"""The scan for expressions suspects too much, never too little."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khien.engine.expressions import Suspects, portable, suspects
from khien.engine.values import regex_test
from khien.rules.model import Regex

TESTS = tuple(
    Regex("a", pattern, flags)
    for pattern, flags in (
        ("ab+c", ""), ("AB", "i"), ("^b", ""), ("^b", "m"), ("c$", ""), ("a.b", "s"), (r"\d{3}", ""), ("đ", "i"), ("(?:ab){2}", ""),
        ("a(?=b)", ""), (r"(.)\1", ""), (r"\bab\b", ""), ("[^a]b", ""), ("x*", ""), (r"\p{Lu}", ""), ("a{1,500}b{1,500}", ""),
    )
)  # fmt: skip
SCAN = Suspects(TESTS)


@settings(max_examples=300)
@given(st.text(alphabet="abcABđĐ1 \n\r\t\x00", max_size=12))
def test_whatever_matches_is_suspected(text: str) -> None:
    suspected = set(SCAN.find(text))
    for at, test in enumerate(TESTS):
        if regex_test(test.pattern, test.flags)(text):
            assert at in suspected, test


def test_what_the_scan_cannot_hold_is_always_suspected() -> None:
    odd = Suspects((Regex("a", "ab"), Regex("a", "(" * 300 + "a" + ")" * 300 + "{900}" * 3)))
    assert set(odd.unscanned) <= set(odd.find("nothing"))
    assert Suspects(()).find("x") == []


def test_lone_surrogates_are_scanned() -> None:
    assert 1 in SCAN.find("\ud800ab")


def test_a_set_of_expressions_is_compiled_once() -> None:
    assert suspects(TESTS) is suspects(TESTS)


@pytest.mark.parametrize(
    ("pattern", "flags", "expected"),
    [
        ("a+b", "", "a+b"),
        ("a+b", "im", "(?im)a+b"),
        ("[[:alpha:]]x", "", "[[:alpha:]]x"),
        (r"[\[]x", "", r"[\[]x"),
        ("đ", "", None),
        ("a{,3}", "", None),
        ("(?x)a", "", None),
        ("[a[b]", "", None),
        ("[a&&b]", "", None),
    ],
)
def test_only_what_means_the_same_everywhere_is_portable(pattern: str, flags: str, expected: str | None) -> None:
    assert portable(Regex("a", pattern, flags)) == expected
