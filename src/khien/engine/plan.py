"""What must be done to events of one kind: the rules that can match them, compiled together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from khien.engine.forms import CLAUSES, NARROW, Form, Vocabulary
from khien.engine.matcher import NOTHING, Signatures
from khien.engine.row import Check, Row, all_contained, any_contained, check_of, contained
from khien.rules.model import (
    And,
    Const,
    FieldRef,
    Keyword,
    KeywordRegex,
    Named,
    Node,
    Not,
    Or,
    Rule,
    Test,
)

Masks = tuple[int, int, int]
# From the indexed tests passed to whether a condition holds, or what is left of it.
Partial = Callable[[frozenset[int]], bool | Check]
_MOST_MASKS = 20_000


@dataclass(slots=True, eq=False)
class Compiled:
    """A rule of a plan."""

    place: int
    """Its place among the plan's rules."""
    rule: Rule
    condition: Node
    constants: frozenset[Test]
    """Tests that hold for every event of the kind."""
    tests: frozenset[Test]
    """Those that are left in the condition."""
    partial: Partial | None = None
    """The condition by indexed tests alone, compiled when the rule is first a candidate."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What the indexed tests say about all events of one signature.

    `passed`: the indexed tests that they pass. `certain`: the rules that they match. `open`: rules
    that the rest of their tests decide, with what is left of the condition.
    """

    passed: frozenset[int]
    certain: tuple[Compiled, ...]
    open: tuple[tuple[Compiled, Check], ...]


class Column:
    """One indexed field of a plan: its values' signatures, and what each says about the rules.

    The masks of a signature have a bit a rule: bit r of the n-th mask is set when the value passes
    one of the tests in the n-th necessary clause of rule r.
    """

    __slots__ = ("_masked", "_test_masks", "masks", "signatures")

    def __init__(self, signatures: Signatures, test_masks: dict[int, Masks]) -> None:
        self.signatures = signatures
        self.masks: dict[int, Masks] = {}
        self._test_masks = test_masks
        self._masked = frozenset(test_masks)

    def mask(self, signature: int) -> Masks:
        """The masks of a signature, computed once."""
        first = second = third = 0
        for test in self.signatures.sets[signature] & self._masked:
            one, two, three = self._test_masks[test]
            first |= one
            second |= two
            third |= three
        if len(self.masks) >= _MOST_MASKS:
            self.masks.clear()
        self.masks[signature] = first, second, third
        return first, second, third


class Plan:
    """The rules for one kind of events.

    Each rule has necessary clauses: sets of tests of which a match passes one each. The tests of
    the rarest clauses are indexed: decided for every value, all together and once a value. An
    event's signature is the tuple of its indexed columns' signatures. What it says about the rules
    is worked out once a signature: most are out, some certain, and of a few the rest of the tests is
    left to decide, event by event.

    `read`: the Sigma fields to read; `indexed`: the positions among them of the columns. `whole`: index every
    test but those that compare two fields.
    """

    def __init__(self, forms: Sequence[Form], vocabulary: Vocabulary, *, whole: bool = False) -> None:
        self.forms = forms
        tests: dict[int, Test] = {}
        for form in forms:
            tests.update(form.tests)
        self.tests = frozenset(tests.values())
        self.keywords = tuple(test for test in tests.values() if isinstance(test, Keyword | KeywordRegex))
        self.read = tuple(dict.fromkeys(name for test in tests.values() for name in _fields(test)))
        self.positions = {name: at for at, name in enumerate(self.read)}
        self._checks: dict[Test, Check] = {}
        # Comparisons of two fields that are part of a signature: that they may hold.
        self.references = {
            test: number for number, test in tests.items() if isinstance(test, FieldRef) and test.how == "equals"
        }
        index = self._choose(forms, tests, vocabulary, whole)
        self._numbers = {test: number for number, test in index.items()}
        self._compile_columns(index, vocabulary)
        self.rules = [
            Compiled(at, form.rule, form.condition, form.constants, frozenset(form.tests.values()))
            for at, form in enumerate(forms)
        ]

    def _choose(
        self, forms: Sequence[Form], tests: dict[int, Test], vocabulary: Vocabulary, whole: bool
    ) -> dict[int, Test]:
        """The tests to index, and the masks that say which clauses of which rules they belong to."""
        sizes = Counter(test.field for test in tests.values() if not isinstance(test, Keyword | KeywordRegex))
        index = {number for form in forms if form.clauses for number in form.clauses[0][1]}
        index |= tests.keys() & vocabulary.rare
        index |= {
            number
            for number, test in tests.items()
            if not isinstance(test, FieldRef | Keyword | KeywordRegex) and sizes[test.field] < NARROW
        }
        if whole:
            index |= {number for number, test in tests.items() if not isinstance(test, FieldRef)}
        masks: list[dict[int, int]] = [{} for _ in range(CLAUSES)]
        free = [0] * CLAUSES  # rules without an n-th clause
        for at, form in enumerate(forms):
            bit = 1 << at
            usable = [clause for nth, clause in enumerate(form.clauses) if not nth or clause[1] <= index]
            for nth in range(CLAUSES):
                if nth >= len(usable):
                    free[nth] |= bit
                    continue
                mine = masks[nth]
                for number in usable[nth][1]:
                    mine[number] = mine.get(number, 0) | bit
        first, second, third = masks
        self.test_masks: dict[int, Masks] = {
            number: (first.get(number, 0), second.get(number, 0), third.get(number, 0))
            for number in first.keys() | second.keys() | third.keys()
        }
        self.free: Masks = (free[0], free[1], free[2])
        return {number: tests[number] for number in sorted(index)}

    def _compile_columns(self, index: Mapping[int, Test], vocabulary: Vocabulary) -> None:
        by_field: dict[str, dict[int, Test]] = {}
        keywords: dict[int, Test] = {}
        for number, test in index.items():
            if isinstance(test, Keyword | KeywordRegex):
                keywords[number] = test
            else:
                by_field.setdefault(test.field, {})[number] = test
        self.columns = [Column(vocabulary.signatures(mine), self.test_masks) for mine in by_field.values()]
        self.indexed = tuple(self.positions[name] for name in by_field)
        self.text = Column(vocabulary.signatures(keywords), self.test_masks) if keywords else None
        self.all_columns = [*self.columns, self.text] if self.text is not None else self.columns

    def settle(self, signature: tuple[int, ...]) -> Settled:
        """What is known of events of a signature."""
        candidates = self._candidates(signature)
        if not candidates:
            return Settled(NOTHING, (), ())
        maybe = signature[len(self.all_columns) :]
        passed = NOTHING.union(
            *(column.signatures.sets[number] for column, number in zip(self.all_columns, signature, strict=False)),
            [number for number, held in zip(self.references.values(), maybe, strict=True) if held],
        )
        certain = []
        undecided = []
        while candidates:
            lowest = candidates & -candidates
            candidates ^= lowest
            compiled = self.rules[lowest.bit_length() - 1]
            if compiled.partial is None:
                compiled.partial = self._partial(compiled.condition)
            left = compiled.partial(passed)
            if left is True:
                certain.append(compiled)
            elif left is not False:
                undecided.append((compiled, left))
        return Settled(passed, tuple(certain), tuple(undecided))

    def _candidates(self, signature: tuple[int, ...]) -> int:
        """A bit for each rule that an event of this signature may match."""
        first, second, third = self.free
        for column, number in zip(self.all_columns, signature, strict=False):
            one, two, three = column.masks.get(number) or column.mask(number)
            first |= one
            second |= two
            third |= three
        return first & second & third

    def number(self, test: Test) -> int | None:
        """The number of an indexed test; None for any other."""
        return self._numbers.get(test)

    def check(self, test: Test) -> Check:
        """A function from a row to whether a test of the plan holds."""
        known = self._checks.get(test)
        if known is None:
            number = self._numbers.get(test)
            known = check_of(test, self.positions) if number is None else _indexed(number)
            self._checks[test] = known
        return known

    def _partial(self, node: Node) -> Partial:
        if isinstance(node, Named):
            return self._partial(node.item)
        if isinstance(node, Const):
            value = node.value
            return lambda passed: value
        if isinstance(node, Not):
            return _negation(self._partial(node.item))
        if isinstance(node, And | Or):
            return self._junction(node)
        number = self._numbers.get(node)
        if number is not None:
            return lambda passed: number in passed
        check = self.check(node)
        maybe = self.references.get(node) if isinstance(node, FieldRef) else None
        if maybe is not None:
            return lambda passed: check if maybe in passed else False
        return lambda passed: check

    def _junction(self, node: And | Or) -> Partial:
        """An AND or OR: indexed tests by one set operation, then what is compound; plain literals together."""
        both = isinstance(node, And)
        numbers: set[int] = set()
        literals: dict[str, list[tuple[Test, str]]] = {}
        compound: list[Partial] = []
        checks: list[Check] = []
        for item in node.items:
            if isinstance(item, And | Or | Not | Const | Named | FieldRef):
                compound.append(self._partial(item))
            elif item in self._numbers:
                numbers.add(self._numbers[item])
            elif (found := contained(item)) is not None:
                literals.setdefault(found[0], []).append((item, found[1]))
            else:
                checks.append(self.check(item))
        combine = all_contained if both else any_contained
        for name, pairs in literals.items():
            tests, texts = tuple(test for test, _ in pairs), tuple(text for _, text in pairs)
            checks.append(combine(tests, texts, self.positions[name]))
        build = _conjunction if both else _disjunction
        return build(frozenset(numbers), tuple(compound), tuple(checks))


def _indexed(number: int) -> Check:
    return lambda row: number in row.passed


def _negation(inner: Partial) -> Partial:
    def partial(passed: frozenset[int]) -> bool | Check:
        left = inner(passed)
        if isinstance(left, bool):
            return not left
        check = left
        return lambda row: not check(row)

    return partial


def _conjunction(numbers: frozenset[int], compound: tuple[Partial, ...], checks: tuple[Check, ...]) -> Partial:
    def partial(passed: frozenset[int]) -> bool | Check:
        if not numbers <= passed:
            return False
        left = checks
        for each in compound:
            held = each(passed)
            if held is False:
                return False
            if held is not True:
                left = (*left, held)
        return _all(left) if left else True

    return partial


def _disjunction(numbers: frozenset[int], compound: tuple[Partial, ...], checks: tuple[Check, ...]) -> Partial:
    def partial(passed: frozenset[int]) -> bool | Check:
        if not numbers.isdisjoint(passed):
            return True
        left = checks
        for each in compound:
            held = each(passed)
            if held is True:
                return True
            if held is not False:
                left = (*left, held)
        return _any(left) if left else False

    return partial


def _all(checks: tuple[Check, ...]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(row: Row) -> bool:
        for each in checks:
            if not each(row):
                return False
        return True

    return check


def _any(checks: tuple[Check, ...]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(row: Row) -> bool:
        for each in checks:
            if each(row):
                return True
        return False

    return check


def _fields(test: Test) -> tuple[str, ...]:
    if isinstance(test, Keyword | KeywordRegex):
        return ()
    return (test.field, test.other) if isinstance(test, FieldRef) else (test.field,)
