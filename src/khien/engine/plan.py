"""What must be done to events of one kind: the rules that can match them, compiled together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from khien.engine.clauses import Clause, clauses
from khien.engine.matcher import Matcher, Signatures
from khien.engine.values import holds
from khien.events.batch import MISSING, EventKind
from khien.rules.folding import FALSE, fold, tests_of
from khien.rules.model import And, Const, FieldRef, Keyword, KeywordRegex, Named, Node, Not, Or, Rule, Test, Text

Passed = frozenset[int] | set[int]
Condition = Callable[[Passed], bool]
# The rules that events of one signature match, each with the tests that made it true.
Verdict = tuple[tuple[Rule, tuple[Test, ...]], ...]
Masks = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule of a plan: `holds` takes the numbers of the tests that an event passed."""

    rule: Rule
    holds: Condition
    constants: frozenset[Test]
    """Tests that hold for every event of the kind."""


class Vocabulary:
    """The tests of all plans of a detector, numbered, and the matchers that plans share."""

    def __init__(self) -> None:
        self.numbers: dict[Test, int] = {}
        self._signatures: dict[frozenset[int], Signatures] = {}

    def number(self, test: Test) -> int:
        """The number of a test; equal tests have one."""
        return self.numbers.setdefault(test, len(self.numbers))

    def signatures(self, tests: Iterable[Test]) -> Signatures:
        """The signatures of values by these tests of one field; one object for equal sets."""
        numbered = {self.number(test): test for test in tests}
        key = frozenset(numbered)
        known = self._signatures.get(key)
        if known is None:
            known = self._signatures[key] = Signatures(Matcher(numbered.items()))
        return known


class Column:
    """One field of a plan: its values' signatures, and what each says about the rules.

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
        self.masks[signature] = first, second, third
        return first, second, third


class Plan:
    """The rules for one kind of events.

    `read`: the Sigma fields to read. An event's signature is the tuple of its columns' signatures;
    which rules match depends on nothing else, so each signature is evaluated once.
    """

    def __init__(self, kind: EventKind, rules: Iterable[Rule], vocabulary: Vocabulary) -> None:
        self.kind = kind
        self.vocabulary = vocabulary
        chosen = [(rule, *folded) for rule in rules if (folded := _fold_constants(rule, kind))[0]]
        tests: dict[Test, None] = {}
        used: Counter[Test] = Counter()
        for _, conditions, _ in chosen:
            mine = dict.fromkeys(test for node in conditions for test in tests_of(node))
            used.update(mine.keys())
            tests.update(mine)
        self._compile_rules(chosen, used)
        self._compile_columns(tests)
        self.memory: dict[tuple[int, ...], Verdict] = {}

    def _compile_rules(self, chosen: list[tuple[Rule, tuple[Node, ...], frozenset[Test]]], used: Counter[Test]) -> None:
        self.rules: list[Compiled] = []
        self.test_masks: dict[int, Masks] = {}
        free = [0, 0, 0]  # rules without an n-th clause
        number = self.vocabulary.number

        def weigh(test: Test) -> Clause:
            return used[test] + 8 / (2 + _sharpness(test)), frozenset({number(test)})

        for at, (rule, conditions, constants) in enumerate(chosen):
            node: Node = Or(conditions) if len(conditions) > 1 else conditions[0]
            self.rules.append(Compiled(rule, self._condition(node), constants))
            found = clauses(node, weigh, 3)
            for nth in range(3):
                if nth >= len(found):
                    free[nth] |= 1 << at
                    continue
                for test in found[nth][1]:
                    masks = list(self.test_masks.get(test, (0, 0, 0)))
                    masks[nth] |= 1 << at
                    self.test_masks[test] = (masks[0], masks[1], masks[2])
        self.free: Masks = (free[0], free[1], free[2])

    def _compile_columns(self, tests: Iterable[Test]) -> None:
        by_field: dict[str, list[Test]] = {}
        keywords: list[Keyword | KeywordRegex] = []
        self.references: list[FieldRef] = []
        for test in tests:
            if isinstance(test, Keyword | KeywordRegex):
                keywords.append(test)
            elif isinstance(test, FieldRef):
                self.references.append(test)
            else:
                by_field.setdefault(test.field, []).append(test)
        self.columns = [Column(self.vocabulary.signatures(mine), self.test_masks) for mine in by_field.values()]
        self.fields = tuple(by_field)
        self.read = tuple(
            dict.fromkeys((*self.fields, *(name for test in self.references for name in (test.field, test.other))))
        )
        self.positions = {name: at for at, name in enumerate(self.read)}
        self.keywords = tuple(keywords)
        self.text = Column(self.vocabulary.signatures(keywords), self.test_masks) if keywords else None

    def verdict_columns(self) -> list[Column]:
        """The columns of a signature, without those of field references that come after them."""
        return [*self.columns, self.text] if self.text is not None else self.columns

    def candidates(self, signature: tuple[int, ...]) -> int:
        """A bit for each rule that an event of this signature may match."""
        first, second, third = self.free
        columns = self.verdict_columns()
        for column, number in zip(columns, signature, strict=False):
            one, two, three = column.masks.get(number) or column.mask(number)
            first |= one
            second |= two
            third |= three
        for test, held in zip(self.references, signature[len(columns) :], strict=True):
            if held:
                one, two, three = self.test_masks.get(self.vocabulary.number(test), (0, 0, 0))
                first |= one
                second |= two
                third |= three
        return first & second & third

    def evaluate(self, signature: tuple[int, ...]) -> tuple[list[Compiled], set[int]]:
        """The rules that events of a signature match, and the numbers of the tests they pass."""
        left = self.candidates(signature)
        if not left:
            return [], set()
        passed = self.passed(signature)
        found = []
        while left:
            lowest = left & -left
            left ^= lowest
            compiled = self.rules[lowest.bit_length() - 1]
            if compiled.holds(passed):
                found.append(compiled)
        return found, passed

    def passed(self, signature: tuple[int, ...]) -> set[int]:
        """The numbers of all tests that events of a signature pass."""
        columns = self.verdict_columns()
        passed = set[int]().union(
            *(column.signatures.sets[number] for column, number in zip(columns, signature, strict=False))
        )
        for test, held in zip(self.references, signature[len(columns) :], strict=True):
            if held:
                passed.add(self.vocabulary.number(test))
        return passed

    def _condition(self, node: Node) -> Condition:
        if isinstance(node, Named):
            return self._condition(node.item)
        if isinstance(node, Const):
            value = node.value
            return lambda passed: value
        if isinstance(node, Not):
            inner = self._condition(node.item)
            return lambda passed: not inner(passed)
        number = self.vocabulary.number
        if isinstance(node, And | Or):
            leaves = frozenset(number(n) for n in node.items if not isinstance(n, And | Or | Not | Const | Named))
            rest = tuple(self._condition(n) for n in node.items if isinstance(n, And | Or | Not | Const | Named))
            return _all(leaves, rest) if isinstance(node, And) else _any(leaves, rest)
        mine = number(node)
        return lambda passed: mine in passed


def _fold_constants(rule: Rule, kind: EventKind) -> tuple[tuple[Node, ...], frozenset[Test]]:
    """The rule's conditions with tests on the kind's constants worked in, without the impossible ones."""
    true: set[Test] = set()
    constants = kind.constants
    aliases = kind.aliases

    def decide(test: Test) -> bool | None:
        if isinstance(test, Keyword | KeywordRegex | FieldRef):
            return None
        field = test.field
        if field in aliases:
            field = next((name for name in aliases[field] if constants.get(name, MISSING) is not MISSING), "")
        value = constants.get(field, MISSING)
        if value is MISSING:
            return None
        if type(test) is Text and len(test.parts) == 1 and isinstance(test.parts[0], str) and not test.cased:
            known = test.parts[0].lower() == str(value).lower() if type(value) in (str, int) else holds(test, value)
        else:
            known = holds(test, value)
        if known:
            true.add(test)
        return known

    folded = tuple(node for condition in rule.conditions if (node := fold(condition, decide)) != FALSE)
    return folded, frozenset(true)


def _all(leaves: frozenset[int], rest: tuple[Condition, ...]) -> Condition:
    if not rest:
        return leaves.issubset
    return lambda passed: leaves <= passed and all(condition(passed) for condition in rest)


def _any(leaves: frozenset[int], rest: tuple[Condition, ...]) -> Condition:
    if not rest:
        return lambda passed: not leaves.isdisjoint(passed)
    return lambda passed: not leaves.isdisjoint(passed) or any(condition(passed) for condition in rest)


def _sharpness(test: Test) -> int:
    """The longest literal of a test: longer ones are rarer."""
    parts = getattr(test, "parts", ())
    return max((len(part) for part in parts if isinstance(part, str)), default=0)
