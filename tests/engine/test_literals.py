"""Literals never miss: a text without any of them is never one that matches."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.engine.literals import END, START, is_cheap, least_length, needles, regex_literals
from khien.engine.values import text_test
from khien.rules.model import ANY, DASH, STAR, Parts, Text
from khien.rules.patterns import normal

alphabet = "abĐđ-/–."
pieces = st.one_of(st.text(alphabet=alphabet, min_size=1, max_size=3), st.sampled_from([STAR, ANY, DASH]))


@given(st.lists(pieces, max_size=5).map(normal), st.text(alphabet=alphabet, max_size=10))
def test_needles_are_in_every_text_that_matches_and_exact_ones_in_no_other(parts: Parts, text: str) -> None:
    found = needles(parts)
    if found is None:
        return
    looked_for, exact = found
    there = any(needle in f"{START}{text.lower()}{END}" for needle in looked_for)
    matches = text_test(Text("a", parts))(text)
    if matches:
        assert there
    if exact:
        assert there == matches


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("Cmd.exe",), ([f"{START}cmd.exe{END}"], True)),
        ((STAR, "mid", STAR), (["mid"], True)),
        (("cmd", STAR), ([f"{START}cmd"], True)),
        ((STAR, "ab", STAR, "longest", STAR), (["longest"], False)),
        ((), ([f"{START}{END}"], True)),
        ((STAR,), None),
        ((ANY, STAR), None),
    ],
)
def test_needles_are_the_longest_literals_with_the_ends_of_the_text(parts: Parts, expected: object) -> None:
    assert needles(parts) == expected


def test_dashes_become_a_needle_each_while_they_are_few() -> None:
    found = needles((STAR, DASH, "enc", STAR))
    assert found is not None
    assert set(found[0]) == {"-enc", "/enc", "–enc", "—enc", "―enc"}


@pytest.mark.parametrize(
    ("pattern", "flags", "expected"),
    [
        ("mimikatz", "", ["mimikatz"]),
        ("MimiKatz", "i", ["mimikatz"]),
        ("(?:invoke|reflect).{1,5}assembly", "", ["assembly"]),
        ("certutil|bitsadmin", "", ["bitsadmin", "certutil"]),
        ("(certutil)?x", "", None),
        ("[cC]ertutil", "", ["certutil"]),
        ("download+er", "", ["downloa"]),
        (r"\d+", "", None),
        ("a", "", None),
        ("đăng-nhập", "i", ["ng-nh"]),
        ("(", "", None),
    ],
)
def test_an_expression_gives_the_texts_it_cannot_match_without(
    pattern: str, flags: str, expected: list[str] | None
) -> None:
    found = regex_literals(pattern, flags)
    if expected is None or found is None:
        assert found == expected
    else:
        assert all(any(each in text or text in each for text in expected) for each in found)


expressions = st.recursive(
    st.sampled_from(["abcde", "ABCDE", "a.c", "[aA]bcdef", "x?", r"\d", "đđđđđ", "bbbbbb"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from("?*+")).map(lambda two: f"(?:{two[0]}){two[1]}"),
    ),
    max_leaves=5,
)
words = st.lists(st.sampled_from(["abcde", "ABCDE", "abc", "Abcdef", "x", "1", "đđđđđ", "bbbbbb"]), max_size=5).map(
    "".join
)


@given(expressions, st.sampled_from(["", "i"]), words)
def test_every_text_that_an_expression_matches_holds_one_of_its_literals(pattern: str, flags: str, text: str) -> None:
    literals = regex_literals(pattern, flags)
    if literals is not None and re.search(pattern, text, re.IGNORECASE if flags else 0):
        assert any(literal in text.lower() for literal in literals)


def test_least_length_and_cheapness() -> None:
    assert least_length("ab{2,3}c?") == 3
    assert least_length("(") == 0
    assert is_cheap(r"^\w+\.exe")
    for pattern in (r"(a+)+", r"a+b+", r"a$", r"(?=a)", r"(a)\1", "đ", "("):
        assert not is_cheap(pattern)
