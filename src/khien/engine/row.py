"""One event as a plan's conditions look at it, and single tests of it, decided when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from khien.engine.values import glob_test, holds, refers, text_test
from khien.events.batch import Value
from khien.rules.model import STAR, FieldRef, Keyword, KeywordRegex, Parts, Regex, Test, Text

NOT_TEXT: Final = "\x00not a text"
"""Stands for the lower-case text of a value that is no text."""


class Row:
    """An event's values.

    `values`: one for each field that the plan reads. `text`: of the whole event, None where it is
    known to hold no keyword. `passed`: the numbers of the indexed tests that the event passes.
    """

    __slots__ = ("_lower", "passed", "text", "values")

    def __init__(self, values: Sequence[Value], text: str | None, passed: frozenset[int]) -> None:
        self.values = values
        self.text = text
        self.passed = passed
        self._lower: dict[int, str] = {}

    def lower(self, position: int) -> str:
        """The lower-case text of a value; NOT_TEXT (the very object) for a value that is no text."""
        found = self._lower.get(position)
        if found is None:
            value = self.values[position]
            found = self._lower[position] = value.lower() if type(value) is str else NOT_TEXT
        return found


Check = Callable[[Row], bool]


def check_of(test: Test, positions: Mapping[str, int]) -> Check:
    """A function from a row to whether a test holds; `positions` of fields in `Row.values`."""
    if isinstance(test, Keyword | KeywordRegex):
        sought = text_test(test)
        return lambda row: row.text is not None and sought(row.text)
    at = positions[test.field]
    if isinstance(test, FieldRef):
        reference, other = test, positions[test.other]
        return lambda row: refers(reference, row.values[at], row.values[other])
    if isinstance(test, Text) and not test.cased:
        return _text_check(test, at)
    if isinstance(test, Text | Regex):
        return _plain_check(test, at)
    return lambda row: holds(test, row.values[at])


def _text_check(test: Text, at: int) -> Check:
    matches = _matches(tuple(part.lower() if isinstance(part, str) else part for part in test.parts))

    def check(row: Row) -> bool:
        text = row.lower(at)
        return matches(text) if text is not NOT_TEXT else holds(test, row.values[at])

    return check


def _plain_check(test: Text | Regex, at: int) -> Check:
    sought = text_test(test)

    def check(row: Row) -> bool:
        value = row.values[at]
        return sought(value) if type(value) is str else holds(test, value)

    return check


def _matches(parts: Parts) -> Callable[[str], bool]:
    """A glob over lower-case text, by one call where it is a literal."""
    literal = next((part for part in parts if isinstance(part, str)), "")
    if parts == (STAR, literal, STAR):
        return lambda text: literal in text
    if parts == (STAR, literal):
        return lambda text: text.endswith(literal)
    if parts == (literal, STAR):
        return lambda text: text.startswith(literal)
    if parts == (literal,):
        return literal.__eq__
    return glob_test(parts)


def contained(test: Test) -> tuple[str, str] | None:
    """(field, lower-case literal) of a plain `contains`; None for every other test."""
    if isinstance(test, Text) and not test.cased and len(test.parts) == 3:
        first, literal, last = test.parts
        if first == last == STAR and isinstance(literal, str):
            return test.field, literal.lower()
    return None


def any_contained(tests: Sequence[Test], literals: Sequence[str], at: int) -> Check:
    """Whether a value holds one of the literals; `tests` say the same, for values that are no text."""

    def check(row: Row) -> bool:
        text = row.lower(at)
        if text is NOT_TEXT:
            return any(holds(test, row.values[at]) for test in tests)
        for literal in literals:  # a generator would take twice as long
            if literal in text:
                return True
        return False

    return check


def all_contained(tests: Sequence[Test], literals: Sequence[str], at: int) -> Check:
    """Whether a value holds all of the literals; `tests` say the same, for values that are no text."""

    def check(row: Row) -> bool:
        text = row.lower(at)
        if text is NOT_TEXT:
            return all(holds(test, row.values[at]) for test in tests)
        for literal in literals:
            if literal not in text:
                return False
        return True

    return check
