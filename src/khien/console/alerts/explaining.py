"""Why an alert's finding fired: the rule's condition as a tree, and the values that made it true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from khien.console.alerts.highlighting import leaves, literals, marked, merged, printable, spans, value_shown
from khien.console.alerts.rule_index import KnownRule
from khien.events.batch import MISSING, Event, EventKind, Value
from khien.events.mapping import JSON_FAMILY, Classifier, event_text
from khien.hunt.assembly import read_field
from khien.hunt.explanation import Branch, explain_event
from khien.rules.model import Correlation, Rule

_MOST_FALSE = 3
_MOST_BRANCHES = 400
_LONGEST_COPIED = 65_536
_LONGEST_SHOWN = 4_000
_SHORTENED = 200
_MOST_SHOWN = 200_000
_MOST_COPIED = 300_000
_TYPES: dict[str, Promise] = {
    "event_count": gettext_lazy("number of events"),
    "value_count": gettext_lazy("number of different values"),
    "temporal": gettext_lazy("all of these rules within the time"),
    "temporal_ordered": gettext_lazy("all of these rules in this order within the time"),
    "value_sum": gettext_lazy("sum of a field"),
    "value_avg": gettext_lazy("average of a field"),
    "value_percentile": gettext_lazy("percentile of a field"),
    "value_median": gettext_lazy("median of a field"),
}
_SIGNS = {"lt": "<", "lte": "≤", "gt": ">", "gte": "≥", "eq": "=", "neq": "≠"}


@dataclass(frozen=True, slots=True)
class Twig:
    """A branch to show. `others`: branches of it that do not hold, kept apart where there are many."""

    label: str
    holds: bool
    items: tuple[Twig, ...] = ()
    others: tuple[Twig, ...] = ()
    value: str = ""
    has_value: bool = False
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class MatchedValue:
    """A field test that held. `name`: the field, "" for a word anywhere in the event."""

    name: str
    pattern: str
    shown: SafeString


@dataclass(frozen=True, slots=True)
class EventField:
    """A field of the event. `copy`: its value in full, "" when it is too long to be copied; `length` in characters."""

    name: str
    shown: SafeString
    copy: str
    matched: bool
    length: int
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Explained:
    """A finding as it is shown. `trees`: a tree for each condition of the rule; none where it cannot be tried again.

    `matches`: whether the rule as it is now still matches; None where that is not known.
    """

    trees: tuple[Twig, ...]
    matches: bool | None
    matched: tuple[MatchedValue, ...]
    fields: tuple[EventField, ...]
    has_more_fields: bool


def explain(record: dict[str, Any], known: KnownRule | None) -> Explained:
    """What there is to show of a finding's record. Never raises for what stands in it."""
    event = record.get("event")
    event = event if isinstance(event, dict) else {}
    matched = [each for each in _listed(record.get("matched")) if isinstance(each, dict)]
    rule = known.rule if known is not None and isinstance(known.rule, Rule) else None
    trees: tuple[Twig, ...] = ()
    matches = None
    kind = None
    if rule is not None:
        tried = try_rule(rule, event)
        if tried is not None:
            kind, matches, conditions = tried
            budget = [_MOST_BRANCHES]
            trees = tuple(_twig(each, budget) for each in conditions)
    fields, more = _fields(event, matched, kind)
    return Explained(trees, matches, tuple(_matched(each) for each in matched[:100]), fields, more)


def try_rule(rule: Rule, event: Event) -> tuple[EventKind, bool, tuple[Branch, ...]] | None:
    """The kind of an event under which a rule matches it, or else one that the rule is for; None where there is none.

    A finding keeps the event as its reader made it, but not the reader: the kinds of all are tried.
    """
    text = event_text(event)
    best = None
    classifier = _classifier()
    for family in (JSON_FAMILY, *classifier.tables):
        kind = classifier.classify(family, event)
        if not any(rule.logsource.covers(source) for source in kind.logsources):
            continue
        explanation = explain_event(rule, kind, event, text)
        found = kind, explanation.matches, explanation.conditions
        if explanation.matches:
            return found
        best = best or found
    return best


def kind_of(rule: Rule, event: Event) -> EventKind | None:
    """The kind under which the rule matches an event, or else the first that it is for."""
    tried = try_rule(rule, event)
    return tried[0] if tried else None


@lru_cache(maxsize=1)
def _classifier() -> Classifier:
    return Classifier.load()


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _twig(branch: Branch, budget: list[int]) -> Twig:
    budget[0] -= 1
    true = [each for each in branch.items if each.holds]
    false = [each for each in branch.items if not each.holds]
    apart = branch.label == "any of" and len(false) > _MOST_FALSE and bool(true)
    first = true if apart else list(branch.items)
    items, left = _grown(first, budget)
    others, left_too = _grown(false, budget) if apart else ((), 0)
    value = printable(branch.value) if branch.value not in (None, "(missing)") else _("no such field")
    return Twig(_label(branch.label), branch.holds, items, others, value, branch.value is not None, left + left_too)


def _grown(branches: Sequence[Branch], budget: list[int]) -> tuple[tuple[Twig, ...], int]:
    grown = []
    for at, each in enumerate(branches):
        if budget[0] <= 0:
            return tuple(grown), len(branches) - at
        grown.append(_twig(each, budget))
    return tuple(grown), 0


def _label(label: str) -> str:
    words = {"all of": _("all of"), "any of": _("any of"), "not": _("not"), "always": _("always"), "never": _("never")}
    if label in words:
        return words[label]
    if label.startswith("keyword "):
        return _("anywhere in the event: %(pattern)s") % {"pattern": printable(label.removeprefix("keyword "))}
    return printable(label)


def _matched(each: dict[str, Any]) -> MatchedValue:
    pattern = str(each.get("pattern") or "")
    text = value_shown(each.get("value"))
    shown = marked(text, merged(spans(text, pattern)), most=600)
    return MatchedValue(printable(str(each.get("field") or "")), printable(pattern), shown)


def _fields(
    event: Event, matched: Sequence[dict[str, Any]], kind: EventKind | None
) -> tuple[tuple[EventField, ...], bool]:
    """The event's fields, those first that made the rule fire."""
    found, more = leaves(event)
    patterns: dict[str, list[str]] = {}
    words: list[str] = []
    for each in matched:
        pattern = str(each.get("pattern") or "")
        name = each.get("field")
        if not isinstance(name, str) or not name:
            words += literals(pattern) and [pattern]
            continue
        for own in _names(name, each.get("value"), event, found, kind):
            patterns.setdefault(own, []).append(pattern)
    room = [_MOST_SHOWN, _MOST_COPIED]
    fields = [_field(name, value, patterns.get(name, []), words, room) for name, value in found]
    return tuple(sorted(fields, key=lambda each: not each.matched)), more


def _names(
    name: str, value: Value, event: Event, found: Sequence[tuple[str, Value]], kind: EventKind | None
) -> list[str]:
    """The names by which the event's flattened fields hold what a rule calls `name`."""
    known = {own for own, _value in found}
    for own in kind.names(name) if kind is not None else (name,):
        if own in known:
            return [own]
    if kind is not None and read_field(event, kind, name) is MISSING:
        return []
    last = name.rpartition(".")[2].lower()
    return [own for own, there in found if there == value and own.rpartition(".")[2].lower() == last] or [
        own for own, there in found if there == value and value not in (None, "", 0, 1)
    ][:3]


def _field(name: str, value: Value, patterns: Sequence[str], words: Sequence[str], room: list[int]) -> EventField:
    """`room`: characters that may still be shown, and copied; an event of a thousand long values is cut shorter."""
    text = value_shown(value)
    places = [place for pattern in patterns for place in spans(text, pattern)]
    anywhere = [place for pattern in words for place in spans(text, pattern, whole=False)]
    copy = text if len(text) <= min(_LONGEST_COPIED, room[1]) else ""
    most = _LONGEST_SHOWN if room[0] > 0 else _SHORTENED
    room[0] -= min(len(text), most)
    room[1] -= len(copy)
    return EventField(
        printable(name),
        marked(text, merged([*places, *anywhere]), most=most),
        printable(copy) if any("\ud800" <= char <= "\udfff" for char in copy) else copy,
        bool(patterns or anywhere),
        len(text),
        len(text) > most,
    )


def correlation_facts(rule: Correlation, parts: Sequence[Rule]) -> list[tuple[str, str]]:
    """What a correlation counts, as (word, text) pairs."""
    titles = {part.id: part.title for part in parts}
    facts = [
        (_("Counts"), str(_TYPES.get(rule.type, rule.type))),
        (_("Rules"), "; ".join(titles.get(each, each) for each in rule.rules)),
    ]
    if rule.field:
        facts.append((_("Field"), ", ".join(rule.field)))
    if rule.group_by:
        facts.append((_("For each"), ", ".join(rule.group_by)))
    minutes = rule.timespan / 60
    within = (
        ngettext("%(n)g minute", "%(n)g minutes", round(minutes)) % {"n": minutes}
        if minutes >= 1
        else _("%(n)g seconds") % {"n": rule.timespan}
    )
    facts.append((_("Within"), within))
    if rule.bounds:
        facts.append((_("Fires at"), ", ".join(f"{_SIGNS.get(sign, sign)} {bound:g}" for sign, bound in rule.bounds)))
    return [(word, printable(text)) for word, text in facts]
