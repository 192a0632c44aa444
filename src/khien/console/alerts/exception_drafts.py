"""Sigma filters: drafted from an alert's finding, and checked by the real loader."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from django.utils.translation import gettext as _

from khien.console.alerts.explaining import kind_of
from khien.console.alerts.filter_errors import in_words
from khien.console.alerts.highlighting import leaves, printable, value_shown
from khien.console.alerts.models import Alert
from khien.console.alerts.rule_index import KnownRule, RuleIndex
from khien.engine.values import is_linear
from khien.errors import RuleError
from khien.events.batch import MISSING, Event, EventKind, Value
from khien.events.logsource import LogSource
from khien.hunt.assembly import read_field
from khien.rules.collection import load_sources
from khien.rules.documents import parse_documents
from khien.rules.filters import Filter, parse_filter
from khien.rules.model import And, Correlation, KeywordRegex, Named, Node, Not, Or, Regex, Rule

PATH = "exception.yml"
MOST_BYTES = 65_536
_LONGEST_VALUE = 2_000
_MOST_CHOICES = 80
_PLACE = re.compile(r"line (\d+), column (\d+)")
_OTHER_SOURCE = re.compile("log source|not of the filter")
_FIELD = re.compile(r"[^|\s\x00-\x1f][^|\n\r\x00-\x1f]{0,199}\Z")
_SPECIAL = re.compile(r"[*?]|\\(?=[*?\\])")


@dataclass(frozen=True, slots=True)
class Choice:
    """A field that an exception may ask for. `name` as a rule calls it; `chosen`: proposed."""

    name: str
    value: Value
    shown: str
    matched: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a text. `line`, `column` from 1; 0 where the place is not known."""

    message: str
    line: int = 0
    column: int = 0


class Unusable(Exception):
    """A text is no exception that could be used. `problems`: why."""

    def __init__(self, problems: Sequence[Wrong]) -> None:
        super().__init__("; ".join(each.message for each in problems))
        self.problems = list(problems)


def choices(alert: Alert, record: dict[str, Any], known: KnownRule) -> list[Choice]:
    """The fields of a finding that an exception may ask for: those that made the rule fire first."""
    event = record.get("event")
    event = event if isinstance(event, dict) else {}
    if isinstance(known.rule, Correlation):
        return _of_group(known.rule, known.parts[0], event)
    kind = kind_of(known.rule, event)
    found: dict[str, Choice] = {}
    matched = record.get("matched")
    for each in matched if isinstance(matched, list) else ():
        name = each.get("field") if isinstance(each, dict) else None
        if isinstance(name, str) and name and name not in found:
            value = read_field(event, kind, name) if kind is not None else each.get("value")
            _add(found, name, value, matched=True, chosen=True)
    taken = [each.value for each in found.values()]
    about = {str(text).lower() for text in (record.get("host"), alert.entity_value) if text}
    for name, value in leaves(event)[0]:
        if len(found) >= _MOST_CHOICES:
            break
        if name in found or (value in taken and _is_alias(kind, found, name, event)):
            continue
        if kind is not None and read_field(event, kind, name) != value:
            continue
        is_entity = isinstance(value, str) and value.lower() in about
        _add(found, name, value, matched=False, chosen=is_entity)
    return sorted(found.values(), key=lambda each: (not each.matched, not each.chosen))


def _of_group(rule: Correlation, part: Rule, event: Event) -> list[Choice]:
    found: dict[str, Choice] = {}
    for alias in rule.group_by:
        name = rule.aliases.get(alias, {}).get(part.id, alias)
        _add(found, name, event.get(alias, MISSING), matched=True, chosen=True)
    return list(found.values())


def _is_alias(kind: EventKind | None, found: dict[str, Choice], name: str, event: Event) -> bool:
    """Whether a field of the event is one that is offered already by the rule's name for it."""
    return kind is not None and any(name in kind.names(each) for each in found)


def _add(found: dict[str, Choice], name: str, value: Value, *, matched: bool, chosen: bool) -> None:
    if not _FIELD.match(name) or value is MISSING or isinstance(value, dict):
        return
    if isinstance(value, list):
        if not value or len(value) > 20 or any(isinstance(each, list | dict) or each is None for each in value):
            return
    text = value_shown(value)
    if len(text) > _LONGEST_VALUE or value == "":
        return
    found[name] = Choice(name, value, printable(text), matched, chosen)


def draft(known: KnownRule, title: str, chosen: Sequence[Choice]) -> str:
    """A filter of specification 2.1 that keeps the rule silent for events with these values."""
    selection: dict[str, Any] = {}
    for each in chosen:
        if isinstance(each.value, list):
            key = f"{each.name}|all" if len(each.value) > 1 else each.name
            selection[key] = [_sigma(value) for value in each.value]
        else:
            selection[each.name] = _sigma(each.value)
    source, rules = _aimed(known)
    body = {
        "title": title,
        "id": str(uuid.uuid4()),
        "logsource": {
            name: part
            for name, part in (("product", source.product), ("category", source.category), ("service", source.service))
            if part
        },
        "filter": {"rules": [rule.id for rule in rules], "selection": selection, "condition": "not selection"},
    }
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=10_000)


def _aimed(known: KnownRule) -> tuple[LogSource, Sequence[Rule]]:
    """The log source of a filter, and the rules it narrows: of a correlation those it counts."""
    sources = {part.logsource for part in known.parts}
    if len(sources) == 1:
        return next(iter(sources)), known.parts
    same = {
        name: values.pop() if len(values := {getattr(each, name) for each in sources}) == 1 else ""
        for name in ("product", "category", "service")
    }
    if any(same.values()):
        return LogSource(**same), known.parts
    return known.parts[0].logsource, known.parts[:1]


def _sigma(value: Value) -> Value:
    return escaped(value) if isinstance(value, str) else value


def escaped(text: str) -> str:
    """A text as a Sigma string that means just this text."""
    return _SPECIAL.sub(lambda match: "\\" + match[0], text)


def check(text: str, known: KnownRule, index: RuleIndex) -> Filter:
    """The filter in a text, as the live service will load it beside the rule. Raises Unusable."""
    if len(text.encode("utf-8", "replace")) > MOST_BYTES:
        raise Unusable([Wrong(_("The text is longer than %(most)s KB.") % {"most": MOST_BYTES >> 10})])
    data = text.encode("utf-8", "replace")
    try:
        documents = list(parse_documents(PATH, data))
    except RuleError as error:
        raise Unusable([_placed(error, text)]) from error
    if len(documents) != 1:
        raise Unusable([Wrong(_("The text has to be one YAML document."))])
    body = documents[0].body
    if "filter" not in body or "detection" in body or "correlation" in body:
        raise Unusable([Wrong(_("An exception is a Sigma filter: it has 'filter' and no 'detection'."))])
    try:
        found = parse_filter(body, PATH, {})
    except RuleError as error:
        raise Unusable([_placed(error, text)]) from error
    allowed = {name for part in known.parts for name in (part.id, part.name) if name}
    if found.rules is None or any(name not in allowed for name in found.rules):
        message = _("'rules' may name only the rule of the alert: %(rules)s.")
        names = ", ".join(part.id for part in known.parts)
        raise Unusable([Wrong(message % {"rules": names}, *_line_of(text, "rules:"))])
    if slow := next((each for each in _regexes(found.condition) if not is_linear(each.pattern, each.flags)), None):
        message = _("Look-around and back-references could hold up the service; write %(pattern)s without them.")
        raise Unusable([Wrong(message % {"pattern": f"/{slow.pattern[:80]}/"}, *_line_of(text, slow.pattern))])
    sources = [*index.sources([part.id for part in known.parts]), (PATH, data)]
    loaded = load_sources(sources, {})
    problems = [
        Wrong(in_words(each.reason), *_line_of(text, "logsource:" if _OTHER_SOURCE.search(each.reason) else ""))
        for each in (*loaded.unusable, *loaded.warnings)
        if each.path == PATH
    ]
    if problems:
        raise Unusable(problems)
    return found


def _regexes(node: Node) -> Iterator[Regex | KeywordRegex]:
    """The regular expressions of a condition."""
    match node:
        case Regex() | KeywordRegex():
            yield node
        case And(items=items) | Or(items=items):
            for each in items:
                yield from _regexes(each)
        case Not(item=item) | Named(item=item):
            yield from _regexes(item)


def _placed(error: RuleError, text: str) -> Wrong:
    message = in_words(f"{error.what}. {error.remedy}" if error.remedy else error.what)
    place = _PLACE.search(error.where)
    if place:
        line = min(int(place[1]), len(text.rstrip().split("\n")))  # an end too early is seen only behind it
        return Wrong(message, line, int(place[2]))
    quoted = re.findall(r"'([^'\n]{2,80})'", error.what)
    for name in reversed(quoted):
        line, column = _line_of(text, name)
        if line:
            return Wrong(message, line, column)
    return Wrong(message)


def _line_of(text: str, part: str) -> tuple[int, int]:
    """Where a part of the text stands first, from 1; zeros where it does not."""
    at = text.find(part) if part else -1
    if at < 0:
        return 0, 0
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1
