"""Rules and batches of events to matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from khien.engine.clauses import required_texts
from khien.engine.evidence import evidence
from khien.engine.plan import Plan, Verdict, Vocabulary
from khien.engine.values import refers
from khien.events.batch import MISSING, EventBatch, EventKind, Value
from khien.events.logsource import LogSource
from khien.events.text import value_text
from khien.rules.model import FieldRef, Keyword, KeywordRegex, Rule, RuleSet, Test

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
        self._vocabulary = Vocabulary()
        self._event_ids: dict[int, frozenset[str] | None] = {}
        self._by_source: dict[LogSource, list[tuple[int, Rule]]] = {}
        for at, rule in enumerate(rules.rules):
            self._by_source.setdefault(rule.logsource, []).append((at, rule))

    def plan(self, kind: EventKind) -> Plan:
        """The compiled plan for events of a kind."""
        plan = self._plans.get(kind)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[kind] = Plan(kind, self._rules_for(kind), self._vocabulary)
        return plan

    def _rules_for(self, kind: EventKind) -> list[Rule]:
        found = [
            numbered
            for source, rules in self._by_source.items()
            if any(source.covers(mine) for mine in kind.logsources)
            for numbered in rules
            if self._possible(numbered, kind)
        ]
        return [rule for _, rule in sorted(found, key=lambda numbered: numbered[0])]

    def _possible(self, numbered: tuple[int, Rule], kind: EventKind) -> bool:
        """A quick look at the event id, which decides most rules of a service."""
        value = kind.constants.get("EventID", MISSING)
        if value is MISSING or "EventID" in kind.aliases:
            return True
        at, rule = numbered
        if at not in self._event_ids:
            self._event_ids[at] = required_texts(rule, "EventID")
        wanted = self._event_ids[at]
        return wanted is None or (value_text(value) or "").lower() in wanted

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
            signatures = column.signatures
            try:
                columns.append(list(map(signatures.__getitem__, data)))
            except TypeError:  # a list or an object among the values
                columns.append([signatures.of(value) for value in data])
        if plan.text is not None:
            signatures = plan.text.signatures
            if batch.texts is None:
                columns.append([signatures.number(frozenset())] * len(batch.rows))
            else:
                columns.append([signatures.of(text) for text in batch.texts])
        for test in plan.references:
            mine, other = values[plan.positions[test.field]], values[plan.positions[test.other]]
            columns.append(_references(test, mine, other))
        if not columns:  # every test was decided by constants
            return list(repeat((), len(batch.rows)))
        return list(zip(*columns, strict=True))

    def _evaluate(self, plan: Plan, signature: tuple[int, ...]) -> Verdict:
        matched, passed = plan.evaluate(signature)
        numbers = self._vocabulary.numbers
        found = tuple((compiled.rule, evidence(compiled, passed, numbers)) for compiled in matched)
        if len(plan.memory) >= _MOST_REMEMBERED:
            plan.memory.clear()
        plan.memory[signature] = found
        return found


def _references(test: FieldRef, mine: Sequence[Value], other: Sequence[Value]) -> list[int]:
    """1 for each event for which a field reference holds, else 0."""
    if test.how == "equals" and not test.cased:
        try:  # texts on both sides, as nearly always
            return [int(a.lower() == b.lower()) for a, b in zip(mine, other, strict=True)]
        except AttributeError:
            pass
    return [int(refers(test, a, b)) for a, b in zip(mine, other, strict=True)]
