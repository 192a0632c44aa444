"""What one value says to one test, by plain definition; the patterns also against Python's `re`."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from khien.engine.values import address, as_re2_means, compare, elements, glob_test, holds, number, refers, regex_test
from khien.events.batch import MISSING
from khien.rules.model import (
    ANY,
    DASH,
    DASHES,
    STAR,
    Cidr,
    Compare,
    Exists,
    FieldRef,
    Keyword,
    Null,
    Parts,
    Regex,
    Text,
)

pieces = st.one_of(st.text(alphabet="ab-\n", min_size=1, max_size=3), st.sampled_from([STAR, ANY, DASH]))
texts = st.text(alphabet="ab-/–\n", max_size=12)


@given(st.lists(pieces, max_size=6).map(tuple), texts)
@example((STAR, "a", STAR, "a", STAR), "a")
@example(("ab", STAR, "ba"), "aba")
def test_a_pattern_matches_what_its_regular_expression_matches(parts: Parts, text: str) -> None:
    classes = {STAR: ".*", ANY: ".", DASH: f"[{re.escape(DASHES)}]"}
    expression = "".join(re.escape(part) if isinstance(part, str) else classes[part] for part in parts)
    assert glob_test(parts)(text) == (re.fullmatch(expression, text, re.DOTALL) is not None)


@pytest.mark.alone
def test_a_pattern_with_many_stars_takes_linear_time() -> None:
    check = glob_test((*(("a", STAR) * 40), "b"))
    started = time.perf_counter()
    assert not check("a" * 100_000)
    assert time.perf_counter() - started < 1


@pytest.mark.alone
def test_a_regular_expression_that_would_backtrack_takes_linear_time() -> None:
    check = regex_test(r"^(a+)+$", "")
    started = time.perf_counter()
    assert not check("a" * 5_000 + "b")
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("text", ["đ1 ", "٣", "\u00a0", "a\n", "\v", "x" * 2_000 + "1"])
@pytest.mark.parametrize("pattern", [r"\d", r"\w", r"\s", r"\W$", r"[\s\d]", r"[^\s]$", r"\bđ", r"a$"])
def test_expressions_mean_the_same_with_and_without_look_around(pattern: str, text: str) -> None:
    fallback = re.compile(as_re2_means(f"(?=[\\s\\S]|$)(?:{pattern})", ""))
    assert regex_test(pattern, "")(text) == (fallback.search(text) is not None)


def test_lone_surrogates_do_not_break_an_expression() -> None:
    assert regex_test("b", "")("\ud800b")
    assert not regex_test("c", "")("\ud800b")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5), (2.5, 2.5), ("5", 5), (" 5 ", 5), ("-5", -5), ("+5", 5), ("2.50", 2.5), (".5", 0.5), ("5.", 5), ("1e3", 1000), ("1E-1", 0.1),
        (True, None), (None, None), ("", None), ("x", None), ("0x10", None), ("1_000", None), ("1,000", None), ("inf", None), ("nan", None),
        (float("nan"), None), ("--5", None), ("5 6", None), ("9" * 65, None), ([5], None), ({}, None), (MISSING, None), ("९", None),
    ],
)  # fmt: skip
def test_a_number_is_a_number_or_a_text_that_is_one(value: Any, expected: float | None) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.1.2.3", "10.1.2.3"), (" 10.1.2.3 ", "10.1.2.3"), ("[2001:DB8::1]", "2001:db8::1"), ("fe80::1%eth0", "fe80::1"),
        ("::ffff:10.1.2.3", "10.1.2.3"), ("10.1.2", None), ("10.1.2.3:80", None), ("010.1.2.3", None), ("host", None), ("", None),
    ],
)  # fmt: skip
def test_an_address_is_read_in_the_shapes_that_logs_have(text: str, expected: str | None) -> None:
    found = address(text)
    assert (str(found) if found is not None else None) == expected


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        (Exists("a"), None, True), (Exists("a"), MISSING, False), (Exists("a"), [], True),
        (Null("a"), None, True), (Null("a"), MISSING, True), (Null("a"), "", False), (Null("a"), [None, [None]], True), (Null("a"), [0], False),
        (Text("a", ()), "", True), (Text("a", ()), None, False), (Text("a", (STAR,)), [], False), (Text("a", ("1",)), [[2, [1.0]]], True),
        (Text("a", ("ĐẶNG",)), "đặng", True), (Text("a", ("Đ",), cased=True), "đ", False), (Text("a", ("true",)), True, True),
        (Text("a", ('{"x":1}',)), {"x": 1}, True), (Keyword(("b",)), "aBc", True), (Regex("a", "^4"), [3, 42], True),
        (Cidr("a", "10.0.0.0/8"), ["x", "10.0.0.1"], True), (Cidr("a", "10.0.0.0/8"), "::ffff:10.0.0.1", True), (Cidr("a", "::/0"), "10.0.0.1", False),
        (Compare("a", (("gt", 1), ("lt", 3))), [0, 5], False), (Compare("a", (("gt", 1), ("lt", 3))), [0, 2], True),
    ],
)  # fmt: skip
def test_a_test_of_one_field(test: Any, value: Any, expected: bool) -> None:
    assert holds(test, value) is expected


def test_large_integers_are_compared_exactly() -> None:
    assert compare(Compare("a", (("eq", 2**62 + 1),)), str(2**62 + 1))
    assert not compare(Compare("a", (("eq", 2**62 + 1),)), 2**62)


@pytest.mark.parametrize(
    ("how", "value", "other", "expected"),
    [
        ("equals", "A", "a", True), ("equals", 1, "1", True), ("equals", "", "", True), ("equals", None, None, False),
        ("equals", MISSING, MISSING, False), ("equals", ["x", "y"], ["z", "Y"], True), ("contains", "abc", "B", True),
        ("startswith", "abc", "b", False), ("endswith", "abc", "BC", True), ("equals", {"a": 1}, '{"a":1}', True),
    ],
)  # fmt: skip
def test_a_reference_compares_the_texts_of_two_fields(how: str, value: Any, other: Any, expected: bool) -> None:
    assert refers(FieldRef("a", "b", how), value, other) is expected


def test_lists_are_flattened() -> None:
    assert list(elements([1, [2, [3]], []])) == [1, 2, 3]
    assert list(elements("x")) == ["x"]
