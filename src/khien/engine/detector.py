"""Rules and batches of events to matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from khien.engine.evidence import evidence
from khien.engine.plan import Plan, Verdict
from khien.engine.values import refers
from khien.events.batch import EventBatch, EventKind
from khien.rules.model import Keyword, KeywordRegex, Rule, RuleSet, Test

_MOST_REMEMBERED = 50_000
_MOST_PLANS = 4_096


@dataclass(frozen=True, slots=True)
class Match:
    """Event `index` of a batch matches `rule`; `tests` are those that made it true."""

    rule: Rule
    index: int
    tests: tuple[Test, ...]


class Detector:
    """The engine: compile once, then `detect` batch after batch.

    It is the `Projection` of its rules too: readers ask it which fields of a kind any rule reads.
    Plans are compiled when the first event of their kind arrives. One detector serves one thread.
    """

    def __init__(self, rules: RuleSet) -> None:
        self.ruleset = rules
        self._plans: dict[EventKind, Plan] = {}

    def plan(self, kind: EventKind) -> Plan:
        """The compiled plan for events of a kind."""
        plan = self._plans.get(kind)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[kind] = Plan(kind, self.ruleset.rules)
        return plan

    def fields(self, kind: EventKind) -> tuple[str, ...] | None:
        """Sigma fields that some rule reads from events of the kind; None when no rule can match."""
        plan = self.plan(kind)
        return plan.read if plan.rules else None

    def wants_text(self, kind: EventKind) -> bool:
        """Whether rules with keywords can match events of the kind."""
        return self.plan(kind).text is not None

    def keywords(self, kind: EventKind) -> tuple[Keyword | KeywordRegex, ...]:
        """The keyword tests for events of the kind."""
        return self.plan(kind).keywords

    def detect(self, batch: EventBatch) -> list[Match]:
        """All matches in a batch, in the order of its events.

        `batch.fields` must be what `fields(batch.kind)` gave. A batch without texts holds no event
        in which a keyword occurs: the reader has made sure.
        """
        plan = self.plan(batch.kind)
        if not plan.rules or not batch.rows:
            return []
        memory = plan.memory
        matches: list[Match] = []
        for index, signature in enumerate(self._signatures(plan, batch)):
            found = memory.get(signature)
            if found is None:
                found = self._evaluate(plan, signature)
            for rule, tests in found:
                matches.append(Match(rule, index, tests))
        return matches

    def _signatures(self, plan: Plan, batch: EventBatch) -> Sequence[tuple[int, ...]]:
        columns: list[Sequence[int]] = []
        values = list(zip(*batch.rows, strict=True))
        for column, name in zip(plan.columns, plan.fields, strict=True):
            data = values[plan.positions[name]]
            try:
                columns.append(list(map(column.__getitem__, data)))
            except TypeError:  # a list or an object among the values
                columns.append([column.of(value) for value in data])
        if plan.text is not None:
            if batch.texts is None:
                columns.append([plan.text.number(frozenset())] * len(batch.rows))
            else:
                columns.append([plan.text.of(text) for text in batch.texts])
        for _, test in plan.references:
            mine, other = values[plan.positions[test.field]], values[plan.positions[test.other]]
            columns.append([int(refers(test, a, b)) for a, b in zip(mine, other, strict=True)])
        if not columns:  # every test was decided by constants
            return list(repeat((), len(batch.rows)))
        return list(zip(*columns, strict=True))

    def _evaluate(self, plan: Plan, signature: tuple[int, ...]) -> Verdict:
        passed = passed_tests(plan, signature)
        found = tuple(
            (compiled.rule, evidence(compiled, passed, plan.numbers)) for compiled in plan.evaluate(passed)
        )
        if len(plan.memory) >= _MOST_REMEMBERED:
            plan.memory.clear()
        plan.memory[signature] = found
        return found


def passed_tests(plan: Plan, signature: tuple[int, ...]) -> set[int]:
    """The numbers of all tests that events of a signature pass."""
    passed: set[int] = set()
    for column, number in zip(plan.columns, signature, strict=False):
        passed |= column.sets[number]
    at = len(plan.columns)
    if plan.text is not None:
        passed |= plan.text.sets[signature[at]]
        at += 1
    for (number, _), held in zip(plan.references, signature[at:], strict=True):
        if held:
            passed.add(number)
    return passed
