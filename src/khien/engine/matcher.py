"""All tests of one field at once: from a value to the set of tests it passes, once per value."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import msgspec

from khien._native import Column, Generation, Literals
from khien.engine.expressions import Suspects, portable, suspects
from khien.engine.literals import END, START, least_length, needles, regex_literals
from khien.engine.values import TextTest, compare, elements, in_network, text_test
from khien.events.batch import MISSING, Value
from khien.events.text import value_text
from khien.rules.model import Cidr, Compare, Exists, Keyword, KeywordRegex, Null, Regex, Test, Text

NOTHING: frozenset[int] = frozenset()
_MOST_VALUES = 20_000
_MOST_CHARACTERS = 4_000_000
_MOST_SETS = 20_000
_MOST_ELEMENTS = 1_000_000
_LONGEST_KEPT = 4_096
_LONG = 64
_MOST_COMBINATIONS = 10_000

Check = tuple[int, TextTest]


class Matcher:
    """The tests of one field, compiled.

    `tests`: (number, test) pairs; `match` gives the numbers of those that a value passes. Literals
    are found by one pass of an Aho-Corasick automaton over the lower-cased text; patterns that
    are more than a literal are confirmed one by one where their literal was found.
    """

    def __init__(self, tests: Iterable[tuple[int, Test]]) -> None:
        self._exact: dict[str, list[int]] = {}
        self._suspects: dict[str, list[Check]] = {}
        self._every_text: list[Check] = []
        self._scanned: list[tuple[Regex | KeywordRegex, Check]] = []
        self._texts: list[tuple[int, Text | Keyword | Regex | KeywordRegex]] = []
        self._long_texts: list[tuple[int, Check]] = []
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
        self._texts.append((number, test))
        if isinstance(test, Regex | KeywordRegex):
            found = regex_literals(test.pattern, test.flags)
            literals, exact = (found, False) if found else (None, False)
        else:
            parts = test.parts if isinstance(test, Text) else (0, *test.parts, 0)
            sought = needles(parts)
            literals, exact = sought if sought else (None, False)
            exact = exact and not test.cased
        if literals is not None and exact:
            for literal in literals:
                self._exact.setdefault(literal, []).append(number)
            return
        check = (number, text_test(test))
        if literals is not None:
            for literal in literals:
                self._suspects.setdefault(literal, []).append(check)
        elif isinstance(test, Regex | KeywordRegex):
            length = least_length(test.pattern)
            if length >= _LONG:
                self._long_texts.append((length, check))
            else:
                self._scanned.append((test, check))
        else:
            self._every_text.append(check)

    def _compile(self) -> None:
        patterns = list(dict.fromkeys([*self._exact, *self._suspects]))
        self._hits = [tuple(self._exact.get(pattern, ())) for pattern in patterns]
        self._checks = [tuple(self._suspects.get(pattern, ())) for pattern in patterns]
        # What a combination of found literals says: tests passed, and tests to confirm.
        self._combinations: dict[tuple[int, ...], tuple[frozenset[int], tuple[Check, ...]]] = {}
        self._combined = 0
        self._literals = Literals(patterns) if patterns else None
        self._suspects_of: Suspects | None = None
        if self._scanned:
            self._suspects_of = suspects(tuple(test for test, _ in self._scanned))
        self._scanned_checks = [check for _, check in self._scanned]
        self._texts_only = not (self._networks or self._numbers)

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
        return found | self._on_any if self._on_any else found

    def _match_one(self, value: Value) -> frozenset[int]:
        text = value if type(value) is str else value_text(value)
        found = NOTHING
        if text is not None:
            if START in text or END in text:
                found = frozenset(number for number, test in self._texts if text_test(test)(text))
            else:
                found = self._match_text(text)
        if self._texts_only:
            return found
        more = [number for number, test in self._networks if in_network(test.network, value)]
        more += [number for number, test in self._numbers if compare(test, value)]
        return found.union(more) if more else found

    def _match_text(self, text: str) -> frozenset[int]:
        found = NOTHING
        checks: tuple[Check, ...] = ()
        if self._literals is not None:
            hits = self._find(text)
            if hits:
                found, checks = self._combination(hits)
        more = [number for number, check in checks if check(text)]
        if self._suspects_of is not None:
            for at in self._suspects_of.find(text):
                number, check = self._scanned_checks[at]
                if check(text):
                    more.append(number)
        if len(text) >= _LONG:
            more += [number for length, (number, check) in self._long_texts if length <= len(text) and check(text)]
        if self._every_text:
            more += [number for number, check in self._every_text if check(text)]
        return found.union(more) if more else found

    def _find(self, text: str) -> tuple[int, ...]:
        assert self._literals is not None
        marked = f"{START}{text.lower()}{END}"
        try:
            return self._literals.find(marked)
        except UnicodeEncodeError:  # a lone surrogate
            return self._literals.find(marked.encode("utf-8", "replace").decode())

    def column(self, ask: Callable[[bytes], int], missing: int, current: Generation) -> Column:
        """A memory of raw JSON values for this matcher's tests; `ask` gives the signature of one."""
        by_number = dict(self._texts)
        guarded = [
            (at, [portable(by_number[number]) for number, _ in checks])
            for at, checks in enumerate(self._checks)
            if checks
        ]
        long = [(max(length, _LONG), portable(by_number[number])) for length, (number, _) in self._long_texts]
        free = [portable(test) for test, _ in self._scanned]
        free += [portable(by_number[number]) for number, _ in self._every_text]
        usable = self._texts_only and None not in free and all(each for _, each in long)
        return Column(
            ask,
            missing,
            current,
            self._literals,
            guarded,
            [each for each in free if each is not None] if usable else None,
            [(length, each) for length, each in long if each is not None],
        )

    def _combination(self, hits: tuple[int, ...]) -> tuple[frozenset[int], tuple[Check, ...]]:
        known = self._combinations.get(hits)
        if known is None:
            passed = frozenset(number for at in hits for number in self._hits[at])
            doubtful = dict(check for at in hits for check in self._checks[at])
            checks = tuple(check for check in doubtful.items() if check[0] not in passed)
            size = len(hits) + len(passed) + len(checks)
            self._combined += size
            if len(self._combinations) >= _MOST_COMBINATIONS or self._combined > _MOST_ELEMENTS:
                self._combinations.clear()
                self._combined = size
            known = self._combinations[hits] = passed, checks
        return known


def _decode(raw: bytes) -> Value:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error


class Signatures(dict[Any, int]):
    """A bounded memory from a field's value to its signature: a number for the set of tests passed.

    `sets[signature]` is that set. Values that compare equal but are different events (True, 1 and
    1.0), long texts and lists are not kept. Where sets hardly recur, signatures come in generations: a number
    is never given twice, and its set can be read until the generation after its own has ended. The signatures of
    MISSING and of no test passed stay for good.
    """

    def __init__(self, matcher: Matcher) -> None:
        super().__init__()
        self.matcher = matcher
        self.sets: dict[int, frozenset[int]] = {}
        self._numbers: dict[frozenset[int], int] = {}
        self._former: list[int] = []
        self._next = 0
        self._generation = Generation()
        self._characters = 0
        self._elements = 0
        self.missing = self.number(matcher.match(MISSING))
        self.nothing = self.number(NOTHING)
        self._lasting = dict(self._numbers)

    def number(self, passed: frozenset[int]) -> int:
        """The signature of a set of passed tests."""
        known = self._numbers.get(passed)
        if known is None:
            self._elements += len(passed)
            if len(self._numbers) >= _MOST_SETS or self._elements > _MOST_ELEMENTS:
                self._turn()
                self._elements = len(passed)
            known = self._numbers[passed] = self._next
            self.sets[known] = passed
            self._next += 1
        return known

    def _turn(self) -> None:
        """Begin a new generation."""
        for number in self._former:
            del self.sets[number]
        lasting = self._lasting.values()
        self._former = [number for number in self._numbers.values() if number not in lasting]
        self._numbers = dict(self._lasting)
        self._generation.advance()
        self.clear()
        self._characters = 0

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

    @cached_property
    def column(self) -> Column:
        """The same signatures for raw JSON values."""
        signatures = weakref.ref(self)  # the column must not keep alive what keeps it alive

        def ask(raw: bytes) -> int:
            own = signatures()
            assert own is not None
            return own.number(own.matcher.match(_decode(raw)))

        return self.matcher.column(ask, self.missing, self._generation)

    def of(self, value: Value) -> int:
        """The signature of any value, lists and objects included."""
        if isinstance(value, list | dict):
            return self.number(self.matcher.match(value))
        return self[value]
