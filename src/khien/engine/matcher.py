"""All tests of one field at once: from a value to the set of tests it passes, once per value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ahocorasick_rs import AhoCorasick, Implementation

from khien.engine.literals import END, START, needles, regex_literals
from khien.engine.values import TextTest, compare, elements, in_network, text_test
from khien.events.batch import MISSING, Value
from khien.events.text import value_text
from khien.rules.model import Cidr, Compare, Exists, Keyword, KeywordRegex, Null, Regex, Test, Text

NOTHING: frozenset[int] = frozenset()
_MOST_VALUES = 50_000
_MOST_CHARACTERS = 16_000_000
_LONGEST_KEPT = 4_096


class Matcher:
    """The tests of one field, compiled.

    `tests`: (number, test) pairs; `match` gives the numbers of those that a value passes. Literals
    are found by one pass of an Aho-Corasick automaton over the lower-cased text; patterns that
    are more than a literal are confirmed one by one where their literal was found.
    """

    def __init__(self, tests: Iterable[tuple[int, Test]]) -> None:
        self._exact: dict[str, list[int]] = {}
        self._suspects: dict[str, list[tuple[int, TextTest]]] = {}
        self._every_text: list[tuple[int, TextTest]] = []
        self._texts: list[tuple[int, TextTest]] = []
        self._networks: list[tuple[int, Cidr]] = []
        self._numbers: list[tuple[int, Compare]] = []
        null: list[int] = []
        exists: list[int] = []
        for number, test in tests:
            if isinstance(test, Text | Keyword | Regex | KeywordRegex):
                self._add_text(number, test)
            elif isinstance(test, Cidr):
                self._networks.append((number, test))
            elif isinstance(test, Compare):
                self._numbers.append((number, test))
            elif isinstance(test, Null):
                null.append(number)
            elif isinstance(test, Exists):
                exists.append(number)
        self._on_missing = frozenset(null)
        self._on_null = frozenset(null + exists)
        self._on_any = frozenset(exists)
        self._compile()

    def _add_text(self, number: int, test: Text | Keyword | Regex | KeywordRegex) -> None:
        check = text_test(test)
        self._texts.append((number, check))
        if isinstance(test, Regex | KeywordRegex):
            found = regex_literals(test.pattern, test.flags)
            literals, exact = (found, False) if found else (None, False)
        else:
            parts = test.parts if isinstance(test, Text) else (0, *test.parts, 0)
            sought = needles(parts)
            literals, exact = sought if sought else (None, False)
            exact = exact and not test.cased
        if literals is None:
            self._every_text.append((number, check))
            return
        for literal in literals:
            if exact:
                self._exact.setdefault(literal, []).append(number)
            else:
                self._suspects.setdefault(literal, []).append((number, check))

    def _compile(self) -> None:
        patterns = list(dict.fromkeys([*self._exact, *self._suspects]))
        self._hits = [tuple(self._exact.get(pattern, ())) for pattern in patterns]
        self._checks = [tuple(self._suspects.get(pattern, ())) for pattern in patterns]
        self._find: Any = None
        if patterns:
            automaton = AhoCorasick(patterns, implementation=Implementation.ContiguousNFA)
            self._find = automaton.find_matches_as_indexes
        self._simple = not (self._every_text or self._networks or self._numbers)

    def match(self, value: Value) -> frozenset[int]:
        """The numbers of the tests that the value passes (MISSING and None are values too)."""
        if value is MISSING:
            return self._on_missing
        if value is None:
            return self._on_null
        if isinstance(value, list):
            if all(item is None for item in elements(value)):
                return self._on_null
            union: set[int] = set(self._on_any)
            for item in elements(value):
                if item is not None:
                    union |= self._match_one(item)
            return frozenset(union)
        found = self._match_one(value)
        return frozenset(found) | self._on_any if found or self._on_any else NOTHING

    def _match_one(self, value: Value) -> set[int]:
        found: set[int] = set()
        text = value if type(value) is str else value_text(value)
        if text is not None:
            if START in text or END in text:
                found.update(number for number, check in self._texts if check(text))
            else:
                if self._find is not None:
                    for at in {hit[0] for hit in self._find(f"{START}{text.lower()}{END}", overlapping=True)}:
                        found.update(self._hits[at])
                        for number, check in self._checks[at]:
                            if number not in found and check(text):
                                found.add(number)
                for number, check in self._every_text:
                    if check(text):
                        found.add(number)
        if not self._simple:
            found.update(number for number, test in self._networks if in_network(test.network, value))
            found.update(number for number, test in self._numbers if compare(test, value))
        return found


class Signatures(dict[Any, int]):
    """A bounded memory from a field's value to its signature: a small number for the set of tests passed.

    `sets[signature]` is that set. Values that compare equal but are different events (True, 1 and
    1.0), long texts and lists are not kept.
    """

    def __init__(self, matcher: Matcher) -> None:
        super().__init__()
        self.matcher = matcher
        self.sets: list[frozenset[int]] = []
        self._numbers: dict[frozenset[int], int] = {}
        self._characters = 0

    def number(self, passed: frozenset[int]) -> int:
        """The signature of a set of passed tests."""
        known = self._numbers.get(passed)
        if known is None:
            known = self._numbers[passed] = len(self.sets)
            self.sets.append(passed)
        return known

    def __missing__(self, value: Value) -> int:
        signature = self.number(self.matcher.match(value))
        kind = type(value)
        if kind is str:
            size = len(value)
            if size <= _LONGEST_KEPT:
                self._characters += size
                if len(self) >= _MOST_VALUES or self._characters > _MOST_CHARACTERS:
                    self.clear()
                    self._characters = size
                self[value] = signature
        elif kind is not bool and value not in (0, 1):
            if len(self) >= _MOST_VALUES:
                self.clear()
                self._characters = 0
            self[value] = signature
        return signature

    def of(self, value: Value) -> int:
        """The signature of any value, lists and objects included."""
        if isinstance(value, list | dict):
            return self.number(self.matcher.match(value))
        return self[value]
