"""A rule's condition tried on events, branch by branch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from khien.engine.hit import Hit
from khien.engine.values import holds, refers
from khien.events.batch import MISSING, Event, EventBatch, EventKind, ValueScan
from khien.events.mapping import event_text
from khien.events.text import value_text
from khien.formats.format import Report
from khien.formats.inputs import Input
from khien.hunt.assembly import Encoded, dump, pattern_text, read_field
from khien.hunt.plans import HuntOptions, HuntPlan
from khien.hunt.worker import Part, Worker
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
    RuleSet,
)

_LONGEST = 160


@dataclass(frozen=True, slots=True)
class Branch:
    """A part of a condition: what it asks, whether it holds, and the value it looked at."""

    label: str
    holds: bool
    items: tuple[Branch, ...] = ()
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One event: a branch for each of the rule's conditions."""

    path: str
    record: int
    matches: bool
    conditions: tuple[Branch, ...]


class _Explainer:
    """Explains events of the rule's log source in the place of finding some: at most `limit`, matches first."""

    def __init__(self, rule: Rule, limit: int) -> None:
        self.rule = rule
        self._limit = limit
        self._matches: list[Explanation] = []
        self._others: list[Explanation] = []

    @property
    def explanations(self) -> list[Explanation]:
        return [*self._matches, *self._others][: self._limit]

    def find(self, batches: Iterable[EventBatch]) -> tuple[list[tuple[Encoded, str]], list[Hit]]:
        for batch in batches:
            for index in range(len(batch.rows)):
                if len(self._matches) >= self._limit:
                    break
                event = batch.event(index)
                text = batch.texts[index] if batch.texts is not None else event_text(event)
                each = explain_event(self.rule, batch.kind, event, text, batch.path, batch.numbers[index])
                if each.matches:
                    self._matches.append(each)
                elif len(self._others) < self._limit:
                    self._others.append(each)
        return [], []

    def fields(self, kind: EventKind) -> tuple[str, ...] | None:
        covered = any(self.rule.logsource.covers(source) for source in kind.logsources)
        return () if covered else None

    def wants_text(self, kind: EventKind) -> bool:
        return True

    def scan(self, kind: EventKind) -> ValueScan | None:
        return ValueScan((), (), (), lambda signature: True) if self.fields(kind) is not None else None

    def keywords(self, kind: EventKind) -> None:
        return None

    def told(self, key: str, number: int, head: bytes, tail: bytes) -> None:
        raise AssertionError("nothing was to be told")


def explain_inputs(rule: Rule, inputs: Iterable[Input], limit: int, report: Report) -> tuple[list[Explanation], int]:
    """Explanations of at most `limit` events of the rule's log source, matches first; and the number of events."""
    explainer = _Explainer(rule, limit)
    worker = Worker(HuntPlan(RuleSet((rule,)), HuntOptions(level="informational")), explainer)
    events = 0
    for each in inputs:
        for progress in worker.hunt(Part(each)):
            events += progress.events
            for problem in progress.problems:
                report(problem)
    return explainer.explanations, events


def explain_event(rule: Rule, kind: EventKind, event: Event, text: str, path: str = "", record: int = 0) -> Explanation:
    """Try the rule on one event."""
    conditions = tuple(_branch(node, kind, event, text) for node in rule.conditions)
    return Explanation(path, record, any(branch.holds for branch in conditions), conditions)


def _branch(node: Node, kind: EventKind, event: Event, text: str) -> Branch:
    if isinstance(node, Named):
        inner = _branch(node.item, kind, event, text)
        return Branch(node.name, inner.holds, (inner,))
    if isinstance(node, Not):
        inner = _branch(node.item, kind, event, text)
        return Branch("not", not inner.holds, (inner,))
    if isinstance(node, And | Or):
        items = tuple(_branch(item, kind, event, text) for item in node.items)
        if isinstance(node, And):
            return Branch("all of", all(item.holds for item in items), items)
        return Branch("any of", any(item.holds for item in items), items)
    if isinstance(node, Const):
        return Branch("always" if node.value else "never", node.value)
    if isinstance(node, Keyword | KeywordRegex):
        return Branch(f"keyword {pattern_text(node)}", holds(node, text))
    value = read_field(event, kind, node.field)
    shown = "(missing)" if value is MISSING else _shown(value)
    if isinstance(node, FieldRef):
        other = read_field(event, kind, node.other)
        return Branch(f"{node.field} {pattern_text(node)}", refers(node, value, other), (), shown)
    return Branch(f"{node.field}: {pattern_text(node)}", holds(node, value), (), shown)


def _shown(value: object) -> str:
    text = value_text(value)
    if text is None:
        text = dump(value).decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
