"""Matches to findings, encoded once where they arise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import orjson

from khien.engine.detector import Match
from khien.engine.hit import CorrelationMatch, Hit
from khien.events.batch import MISSING, Event, EventBatch, EventKind, Hole, Template, Value, read_path
from khien.events.logsource import LogSource
from khien.events.text import value_text
from khien.events.timestamps import event_time, format_time
from khien.findings.finding import Finding
from khien.rules.model import (
    Cidr,
    Compare,
    Correlation,
    Exists,
    FieldRef,
    Keyword,
    KeywordRegex,
    Null,
    Regex,
    Rule,
    Test,
    Text,
)
from khien.rules.patterns import show

_JSON = orjson.OPT_NON_STR_KEYS
_LONGEST_EXCERPT = 400
_MOST_PARTS = 50_000
_MOST_TEMPLATES = 10_000
_DEEPEST = 200


class Encoded(NamedTuple):
    """A finding as one line of NDJSON, cut where its record number stands.

    `record` counts from the beginning of what was read; whoever knows what came before it adds that.
    """

    record: int
    head: bytes
    tail: bytes

    def line(self, before: int = 0) -> bytes:
        """The whole line with its newline."""
        return b"%s%d%s\n" % (self.head, self.record + before, self.tail)


@dataclass(frozen=True, slots=True)
class Period:
    """Microseconds UTC, both ends included; None where open."""

    since: int | None = None
    until: int | None = None

    def holds(self, moment: int | None) -> bool:
        """Whether a time lies in the period; a finding without time only lies in the open one."""
        if self.since is None and self.until is None:
            return True
        if moment is None:
            return False
        return (self.since is None or moment >= self.since) and (self.until is None or moment <= self.until)


def read_field(event: Event, kind: EventKind, name: str) -> Value:
    """A Sigma field of an event by the names its kind gives it."""
    for own in kind.names(name):
        value = read_path(event, own)
        if value is not MISSING:
            return value
    return MISSING


def first_text(event: Event, names: tuple[str, ...]) -> str:
    """The text of the first of the fields that has one."""
    for name in names:
        text = value_text(read_path(event, name))
        if text and text != "-":
            return text
    return ""


def pattern_text(test: Test) -> str:
    """A test's pattern as a person would write it in a rule."""
    match test:
        case Text() | Keyword():
            return show(test.parts)
        case Regex() | KeywordRegex():
            return f"/{test.pattern}/{test.flags}"
        case Cidr():
            return test.network
        case Compare():
            return " ".join(f"{test.part + ' ' if test.part else ''}{op} {bound}" for op, bound in test.bounds)
        case Null():
            return "null"
        case Exists():
            return "exists"
        case FieldRef():
            return f"{test.how} field {test.other}"
    raise TypeError(type(test).__name__)


class Assembler:
    """Turns a batch's matches into encoded findings and, for correlations, hits."""

    def __init__(self, period: Period, suppressed: frozenset[str], wanted: dict[str, frozenset[str]]) -> None:
        self.period = period
        self.suppressed = suppressed
        self.wanted = wanted
        self.tells = period == Period()
        """Whether events can be reported without a look at their times."""
        self._rule_heads: dict[str, bytes] = {}
        # By a rule's id and the identity of tests (kept alive here).
        self._templates: dict[tuple[object, ...], tuple[Template, tuple[Test, ...]]] = {}
        # By identity of a test (kept alive here): the JSON before and after the value it looked at.
        self._test_parts: dict[int, tuple[Test, bytes, bytes]] = {}

    def assemble(self, batch: EventBatch, matches: list[Match]) -> tuple[list[tuple[Encoded, str]], list[Hit]]:
        """(encoded finding, rule id) pairs to report, and hits for correlations."""
        findings: list[tuple[Encoded, str]] = []
        hits: list[Hit] = []
        kind = batch.kind
        last = -1
        event: Event = {}
        moment: int | None = None
        shared = b""
        encoded_event = b""
        for match in matches:
            if match.index != last:
                last = match.index
                event = batch.event(last)
                moment = event_time(kind, event)
                shared = b""
            if not self.period.holds(moment):
                continue
            rule = match.rule
            record = batch.numbers[last]
            fields = self.wanted.get(rule.id)
            if fields is not None and moment is not None:
                values = {name: value for name in fields if (value := read_field(event, kind, name)) is not MISSING}
                hits.append(Hit(moment, rule.id, values, batch.path, record))
            if rule.id in self.suppressed:
                continue
            if not shared:
                shared = dump(
                    {
                        "time": format_time(moment) if moment is not None else "",
                        "host": first_text(event, kind.host),
                        "user": first_text(event, kind.user),
                        "path": batch.path,
                    },
                )[1:-1]
                encoded_event = dump(event)
            matched = b"[%s]" % b",".join([self._matched(test, event, batch, last) for test in match.tests])
            head = b'%s,%s,"record":' % (self._rule_head(rule), shared)
            tail = b',"matched":%s,"event":%s}' % (matched, encoded_event)
            findings.append((Encoded(record, head, tail), rule.id))
        return findings, hits

    def templates(self, kind: EventKind, found: Sequence[tuple[Rule, tuple[Test, ...]]]) -> list[Template] | None:
        """What to report of events that match rules by these tests; None where each event must be looked at.

        That is so where a correlation asks for more of them, and where a value lies deeper in an event.
        """
        if any(rule.id in self.wanted for rule, _ in found):
            return None
        for _, tests in found:
            for test in tests:
                if isinstance(test, Keyword | KeywordRegex) or any("." in name for name in kind.names(test.field)):
                    return None
        return [self._template(rule, tests) for rule, tests in found if rule.id not in self.suppressed]

    def _template(self, rule: Rule, tests: tuple[Test, ...]) -> Template:
        key = rule.id, *map(id, tests)
        known, _ = self._templates.get(key, (None, tests))
        if known is None:
            if len(self._templates) >= _MOST_TEMPLATES:
                self._templates.clear()
            matched: list[bytes | Hole | str] = []
            for test in tests:
                _, head, tail = self._around_value(test)
                assert not isinstance(test, Keyword | KeywordRegex)
                matched += [b"," + head if matched else head, test.field, tail]
            known = Template(
                rule.id,
                (
                    self._rule_head(rule) + b',"time":',
                    Hole.TIME,
                    b',"host":',
                    Hole.HOST,
                    b',"user":',
                    Hole.USER,
                    b',"path":',
                    Hole.PATH,
                    b',"record":',
                    Hole.RECORD,
                    b',"matched":[',
                    *matched,
                    b'],"event":',
                    Hole.EVENT,
                    b"}",
                ),
            )
            self._templates[key] = known, tests
        return known

    def _rule_head(self, rule: Rule) -> bytes:
        head = self._rule_heads.get(rule.id)
        if head is None:
            head = self._rule_heads[rule.id] = msgspec.json.encode(
                {
                    "rule_id": rule.id,
                    "title": rule.title,
                    "level": rule.level,
                    "status": rule.status,
                    "tags": rule.tags,
                    "logsource": rule.logsource,
                }
            )[:-1]
        return head

    def _matched(self, test: Test, event: Event, batch: EventBatch, index: int) -> bytes:
        _, head, tail = self._around_value(test)
        if isinstance(test, Keyword | KeywordRegex):
            value: Value = _around(batch.texts[index] if batch.texts is not None else "", test)
        else:
            value = read_field(event, batch.kind, test.field)
        return b"%s%s%s" % (head, dump(None if value is MISSING else value), tail)

    def _around_value(self, test: Test) -> tuple[Test, bytes, bytes]:
        """The JSON before and after the value that a test looked at."""
        known = self._test_parts.get(id(test))
        if known is None:
            if len(self._test_parts) >= _MOST_PARTS:
                self._test_parts.clear()
            field = "" if isinstance(test, Keyword | KeywordRegex) else test.field
            head, tail = b'{"field":%s,"value":' % dump(field), b',"pattern":%s}' % dump(pattern_text(test))
            known = self._test_parts[id(test)] = test, head, tail
        return known


def dump(value: Any) -> bytes:
    """Compact JSON of anything events may hold; lone surrogates are replaced, what is nested too deeply is cut off."""
    try:
        return orjson.dumps(value, option=_JSON)
    except (orjson.JSONEncodeError, TypeError):
        return orjson.dumps(_plain(value), option=_JSON)


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, depth + 1) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value)
    return value if isinstance(value, float | int | bool) or value is None else str(value)


def _around(text: str, test: Keyword | KeywordRegex) -> str:
    """The part of a long text around the first literal of a keyword."""
    if len(text) <= _LONGEST_EXCERPT:
        return text
    literal = next((p for p in test.parts if isinstance(p, str)), "") if isinstance(test, Keyword) else ""
    at = max(text.lower().find(literal.lower()), 0)
    start = max(at - _LONGEST_EXCERPT // 2, 0)
    return ("…" if start else "") + text[start : start + _LONGEST_EXCERPT] + "…"


def correlation_finding(rule: Correlation, match: CorrelationMatch) -> Finding:
    """The finding of a correlation that came true."""
    last = match.hits[-1] if match.hits else None
    return Finding(
        rule_id=rule.id,
        title=rule.title,
        level=rule.level,
        status=rule.status,
        tags=list(rule.tags),
        logsource=LogSource(),
        time=format_time(match.time),
        host=_grouped(match.group, ("host", "computer", "hostname")),
        user=_grouped(match.group, ("user", "targetusername", "subjectusername", "account")),
        path=last.path if last else "",
        record=last.record if last else 0,
        matched=[],
        event={**match.group, **match.figures},
        events=[
            {"path": hit.path, "record": hit.record, "rule_id": hit.rule_id, "time": format_time(hit.time)}
            for hit in match.hits
        ],
    )


def _grouped(group: dict[str, str], names: tuple[str, ...]) -> str:
    return next((text for name, text in group.items() if name.lower() in names), "")
