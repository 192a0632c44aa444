"""Rules and batches of events to matches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TypeAlias

from khien.engine.clauses import required_texts
from khien.engine.evidence import Evidence
from khien.engine.forms import Form, Forms, Vocabulary
from khien.engine.plan import Compiled, Plan, Settled
from khien.engine.row import Row
from khien.engine.values import refers
from khien.events.batch import MISSING, EventBatch, EventKind, ValueScan
from khien.events.logsource import LogSource
from khien.events.text import value_text
from khien.rules.model import Keyword, KeywordRegex, Rule, RuleSet, Test

_MOST_REMEMBERED = 10_000
_MOST_ELEMENTS = 1_000_000
_MOST_KINDS = 4_096
_MOST_PLANS = 1_024
_MOST_FINER = 100

Found = tuple[Rule, tuple[Test, ...]]
"""A rule that events match, and the tests that make it so."""


@dataclass(frozen=True, slots=True)
class Match:
    """Event `index` of a batch matches `rule`; `tests` are those that made it true."""

    rule: Rule
    index: int
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Further:
    """What tells more of events than their signature: another scan of them, and the verdict on its signatures."""

    scan: ValueScan
    verdict: Callable[[tuple[int, ...]], Verdict]


Verdict: TypeAlias = bool | list[Found] | Further
"""All that events of a signature match; what decides further; True where each must be looked at."""


class Detector:
    """The engine: compile once, then `detect` batch after batch.

    It is the `Projection` of its rules too: readers ask it which fields of a kind any rule reads.
    Plans are compiled when the first event of their kind arrives. One detector serves one thread.
    """

    def __init__(self, rules: RuleSet) -> None:
        self.ruleset = rules
        self._judges: dict[EventKind, _Judge] = {}
        self._by_forms: dict[tuple[Form, ...], _Judge] = {}
        self._finer_ones: dict[tuple[Form, ...], _Judge] = {}
        self._vocabulary = Vocabulary(rules.rules)
        self._forms = Forms(self._vocabulary)
        self._event_ids: dict[int, frozenset[str] | None] = {}
        self._by_source: dict[LogSource, list[tuple[int, Rule]]] = {}
        for at, rule in enumerate(rules.rules):
            self._by_source.setdefault(rule.logsource, []).append((at, rule))

    def plan(self, kind: EventKind) -> Plan:
        """The compiled plan for events of a kind."""
        return self._judge(kind).plan

    def _judge(self, kind: EventKind) -> _Judge:
        judge = self._judges.get(kind)
        if judge is None:
            if len(self._judges) >= _MOST_KINDS:
                self._judges.clear()
            forms = tuple(form for rule in self._rules_for(kind) if (form := self._forms.of(rule, kind)) is not None)
            judge = self._by_forms.get(forms)
            if judge is None:
                if len(self._by_forms) >= _MOST_PLANS:
                    self._by_forms.clear()
                judge = self._by_forms[forms] = _Judge(Plan(forms, self._vocabulary), self._finer)
            self._judges[kind] = judge
        return judge

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

    def _finer(self, forms: tuple[Form, ...]) -> _Judge | None:
        """A judge that decides every test of some rules that it can by its signatures; None when there are too many."""
        judge = self._finer_ones.get(forms)
        if judge is None and len(self._finer_ones) < _MOST_FINER:
            judge = self._finer_ones[forms] = _Judge(Plan(forms, self._vocabulary, whole=True))
        return judge

    def fields(self, kind: EventKind) -> tuple[str, ...] | None:
        """Sigma fields that some rule reads from events of the kind; None when no rule can match."""
        plan = self.plan(kind)
        return plan.read if plan.rules else None

    def wants_text(self, kind: EventKind) -> bool:
        """Whether rules with keywords can match events of the kind."""
        return bool(self.plan(kind).keywords)

    def keywords(self, kind: EventKind) -> tuple[Keyword | KeywordRegex, ...]:
        """The keyword tests for events of the kind."""
        return self.plan(kind).keywords

    def scan(self, kind: EventKind) -> ValueScan | None:
        """How to tell events of the kind that no rule matches by raw values; None when no rule can match any.

        It says nothing of keywords: whoever uses it looks for those.
        """
        judge = self._judge(kind)
        return judge.scan() if judge.plan.rules else None

    def verdict(self, kind: EventKind, signature: tuple[int, ...]) -> Verdict:
        """What is to be said of all events of a signature that `scan` led to; as there, of keywords nothing."""
        return self._judge(kind).verdict(signature)

    def detect(self, batch: EventBatch) -> list[Match]:
        """All matches in a batch, in the order of its events.

        `batch.fields` must be what `fields(batch.kind)` gave. A batch without texts holds no event
        in which a keyword occurs: the reader has made sure.
        """
        judge = self._judge(batch.kind)
        if not judge.plan.rules or not batch.rows:
            return []
        return judge.matches(batch)


def _place(compiled: Compiled) -> int:
    return compiled.place


def _known_place(known: tuple[int, Found]) -> int:
    return known[0]


class _Judge:
    """A plan at work: what it made of signatures before. `finer` gives the judge of some of its rules alone."""

    def __init__(self, plan: Plan, finer: Callable[[tuple[Form, ...]], _Judge | None] | None = None) -> None:
        self.plan = plan
        self._finer = finer
        self._evidence = Evidence(plan)
        self._known: dict[tuple[int, ...], Settled] = {}
        self._elements = 0

    def matches(self, batch: EventBatch) -> list[Match]:
        known = self._known
        matches: list[Match] = []
        signatures = self._signatures(batch) if batch.signatures is None else batch.signatures
        for index, signature in enumerate(signatures):
            settled = known.get(signature)
            if settled is None:
                try:
                    settled = self._settle(signature)
                except KeyError:  # of a generation that ended after the reader had it
                    settled = self._settle(self._signature(batch, index))
            if settled.open or settled.certain:
                self._decide(batch, index, settled, matches)
        return matches

    def scan(self) -> ValueScan:
        plan = self.plan
        return ValueScan(
            tuple(
                (plan.read[at], column.signatures.column) for column, at in zip(plan.columns, plan.indexed, strict=True)
            ),
            (plan.text.signatures.nothing,) if plan.text is not None else (),
            tuple((test.field, test.other) for test in plan.references),
            self._is_wanted,
        )

    def verdict(
        self, signature: tuple[int, ...], before: Sequence[tuple[int, Found]] = (), places: Sequence[int] | None = None
    ) -> Verdict:
        """What is to be said of all events of a signature.

        Of a finer judge: `before` is what is known of the events already, `places` those of its rules in
        the whole plan.
        """
        settled = self._settle(signature)
        known = list(before)
        row = Row((), None, settled.passed)
        left = [compiled for compiled, _ in settled.open]
        for compiled in settled.certain:
            if self._evidence.is_fixed(compiled):
                place = places[compiled.place] if places is not None else compiled.place
                known.append((place, (compiled.rule, self._evidence.of(compiled, row))))
            else:
                left.append(compiled)
        if not left:
            known.sort(key=_known_place)
            return [found for _, found in known]
        open_places = sorted(compiled.place for compiled in left)
        finer = self._finer(tuple(self.plan.forms[place] for place in open_places)) if self._finer else None
        if finer is None:
            return True
        return Further(finer.scan(), lambda signature: finer.verdict(signature, known, open_places))

    def _is_wanted(self, signature: tuple[int, ...]) -> bool:
        settled = self._settle(signature)
        return bool(settled.open or settled.certain)

    def _settle(self, signature: tuple[int, ...]) -> Settled:
        settled = self._known.get(signature)
        if settled is None:
            settled = self.plan.settle(signature)
            self._elements += len(settled.passed)
            if len(self._known) >= _MOST_REMEMBERED or self._elements > _MOST_ELEMENTS:
                self._known.clear()
                self._elements = len(settled.passed)
            self._known[signature] = settled
        return settled

    def _decide(self, batch: EventBatch, index: int, settled: Settled, matches: list[Match]) -> None:
        """Add the matches of one event."""
        row = Row(batch.rows[index], batch.texts[index] if batch.texts is not None else None, settled.passed)
        found = list(settled.certain)
        found += [compiled for compiled, holds in settled.open if holds(row)]
        if len(found) > 1 and settled.open:
            found.sort(key=_place)
        of = self._evidence.of
        matches += [Match(compiled.rule, index, of(compiled, row)) for compiled in found]

    def _signature(self, batch: EventBatch, index: int) -> tuple[int, ...]:
        """The signature of one event, from its values."""
        texts = None if batch.texts is None else [batch.texts[index]]
        return self._signatures(replace(batch, rows=[batch.rows[index]], texts=texts))[0]

    def _signatures(self, batch: EventBatch) -> Sequence[tuple[int, ...]]:
        plan = self.plan
        columns: list[Sequence[int]] = []
        values = list(zip(*batch.rows, strict=True))
        for column, at in zip(plan.columns, plan.indexed, strict=True):
            signatures = column.signatures
            try:
                columns.append(list(map(signatures.__getitem__, values[at])))
            except TypeError:  # a list or an object among the values
                columns.append([signatures.of(value) for value in values[at]])
        if plan.text is not None:
            signatures = plan.text.signatures
            if batch.texts is None:
                columns.append([signatures.nothing] * len(batch.rows))
            else:
                columns.append([signatures.of(text) for text in batch.texts])
        for test in plan.references:
            one, other = values[plan.positions[test.field]], values[plan.positions[test.other]]
            columns.append([int(refers(test, a, b)) for a, b in zip(one, other, strict=True)])
        if not columns:  # every test was decided by constants, or is not indexed
            return list(repeat((), len(batch.rows)))
        return list(zip(*columns, strict=True))
