"""What must be done to events of one kind: the rules that can match them, compiled together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from khien.engine.matcher import Matcher, Signatures
from khien.engine.values import holds
from khien.events.batch import MISSING, EventKind
from khien.rules.folding import FALSE, fold, tests_of
from khien.rules.model import And, Const, FieldRef, Keyword, KeywordRegex, Node, Not, Or, Rule, Test

Passed = frozenset[int] | set[int]
Condition = Callable[[Passed], bool]
# The rules that events of one signature match, each with the tests that made it true.
Verdict = tuple[tuple[Rule, tuple[Test, ...]], ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule of a plan: `holds` takes the numbers of the tests that an event passed."""

    rule: Rule
    holds: Condition
    constants: frozenset[Test]
    """Tests that hold for every event of the kind."""


class Plan:
    """The rules for one kind of events.

    `fields`: the Sigma fields to read, in the order of the signature. An event's signature is the
    tuple of its fields' signatures; which rules match depends on nothing else, so each signature
    is evaluated once.
    """

    def __init__(self, kind: EventKind, rules: Iterable[Rule]) -> None:
        self.kind = kind
        chosen = [
            (rule, conditions, constants)
            for rule in rules
            if any(rule.logsource.covers(source) for source in kind.logsources)
            for conditions, constants in [_fold_constants(rule, kind)]
            if conditions
        ]
        self.numbers: dict[Test, int] = {}
        used: Counter[int] = Counter()
        for _, conditions, _ in chosen:
            for test in dict.fromkeys(test for node in conditions for test in tests_of(node)):
                used[self.numbers.setdefault(test, len(self.numbers))] += 1
        self.tests: list[Test] = list(self.numbers)
        self._index(chosen, used)
        self._columns()
        self.memory: dict[tuple[int, ...], Verdict] = {}

    def _index(self, chosen: list[tuple[Rule, tuple[Node, ...], frozenset[Test]]], used: Counter[int]) -> None:
        """An index from a test to the rules worth evaluating when it is passed."""
        self.rules: list[Compiled] = []
        self.always: list[int] = []
        self.candidates: dict[int, list[int]] = {}
        weights = [used[n] + 8 / (2 + _sharpness(test)) for n, test in enumerate(self.tests)]
        for rule, conditions, constants in chosen:
            node: Node = Or(conditions) if len(conditions) > 1 else conditions[0]
            at = len(self.rules)
            self.rules.append(Compiled(rule, self._compile(node), constants))
            needed = self._needed(node, weights)
            if needed is None:
                self.always.append(at)
            else:
                for number in needed[1]:
                    self.candidates.setdefault(number, []).append(at)

    def _columns(self) -> None:
        by_field: dict[str, list[tuple[int, Test]]] = {}
        keywords: list[tuple[int, Test]] = []
        self.references: list[tuple[int, FieldRef]] = []
        for number, test in enumerate(self.tests):
            if isinstance(test, Keyword | KeywordRegex):
                keywords.append((number, test))
            elif isinstance(test, FieldRef):
                self.references.append((number, test))
            else:
                by_field.setdefault(test.field, []).append((number, test))
        self.columns = [Signatures(Matcher(tests)) for tests in by_field.values()]
        self.fields = tuple(by_field)
        extra = [name for _, test in self.references for name in (test.field, test.other)]
        self.read = tuple(dict.fromkeys((*self.fields, *extra)))
        self.text = Signatures(Matcher(keywords)) if keywords else None
        self.keywords = tuple(test for _, test in keywords if isinstance(test, Keyword | KeywordRegex))
        self.positions = {name: at for at, name in enumerate(self.read)}

    def evaluate(self, passed: set[int]) -> list[Compiled]:
        """The rules that match an event which passed these tests."""
        wanted = set(self.always)
        for number in passed:
            found = self.candidates.get(number)
            if found:
                wanted.update(found)
        return [self.rules[at] for at in sorted(wanted) if self.rules[at].holds(passed)]

    def _compile(self, node: Node) -> Condition:
        if isinstance(node, Const):
            value = node.value
            return lambda passed: value
        if isinstance(node, Not):
            inner = self._compile(node.item)
            return lambda passed: not inner(passed)
        if isinstance(node, And | Or):
            leaves = frozenset(self.numbers[n] for n in node.items if not isinstance(n, And | Or | Not | Const))
            rest = tuple(self._compile(n) for n in node.items if isinstance(n, And | Or | Not | Const))
            return _all(leaves, rest) if isinstance(node, And) else _any(leaves, rest)
        number = self.numbers[node]  # type: ignore[index]
        return lambda passed: number in passed

    def _needed(self, node: Node, weights: list[float]) -> tuple[float, frozenset[int]] | None:
        """The cheapest set of tests of which a match passes at least one; None when there is none."""
        if isinstance(node, Not | Const):
            return None
        if isinstance(node, And):
            found = [need for item in node.items if (need := self._needed(item, weights)) is not None]
            return min(found, key=lambda need: need[0]) if found else None
        if isinstance(node, Or):
            total, union = 0.0, frozenset[int]()
            for item in node.items:
                need = self._needed(item, weights)
                if need is None:
                    return None
                total += need[0]
                union |= need[1]
            return total, union
        number = self.numbers[node]  # type: ignore[index]
        return weights[number], frozenset({number})


def _fold_constants(rule: Rule, kind: EventKind) -> tuple[tuple[Node, ...], frozenset[Test]]:
    true: set[Test] = set()

    def decide(test: Test) -> bool | None:
        if isinstance(test, Keyword | KeywordRegex | FieldRef):
            return None
        for name in kind.names(test.field):
            if name in kind.constants:
                value = kind.constants[name]
                if value is MISSING:
                    continue
                known = holds(test, value)
                if known:
                    true.add(test)
                return known
            break
        return None

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


def _sharpness(test: Any) -> int:
    parts = getattr(test, "parts", ())
    return max((len(part) for part in parts if isinstance(part, str)), default=0)
