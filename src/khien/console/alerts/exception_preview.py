"""What an exception would have silenced: over the alerts kept here, and over the lake's findings."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
from django.utils import timezone

from khien.console.accounts.models import User
from khien.console.alerts.explaining import kind_of
from khien.console.alerts.highlighting import printable, value_shown
from khien.console.alerts.models import Alert, AlertFinding
from khien.console.alerts.neighbours import in_time, rows_of
from khien.console.alerts.rule_index import KnownRule
from khien.events.batch import Event, EventKind
from khien.events.mapping import event_text
from khien.hunt.explanation import explain_event
from khien.lake.query import Limits
from khien.lake.reading import literal
from khien.rules.filters import Filter
from khien.rules.model import Correlation, Rule

DAYS = 30
MOST_ALERTS = 2_000
MOST_FINDINGS = 10_000
_EXAMPLES = 5
_SECONDS = 2.5
_LAKE_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Example:
    """A finding in a few words. `alert`: the number of its alert, 0 for one of the lake."""

    time: str
    host: str
    user: str
    text: str
    alert: int = 0


@dataclass(slots=True)
class Preview:
    """`silenced`, `kept`, `partly`: how many; `unknown`: of those it cannot be said.

    `whole`: everything there is was looked at; otherwise the newest `looked` of `there`.
    """

    silenced: int = 0
    kept: int = 0
    partly: int = 0
    unknown: int = 0
    looked: int = 0
    there: int = 0
    whole: bool = True
    silenced_examples: list[Example] = field(default_factory=list)
    kept_examples: list[Example] = field(default_factory=list)

    def show(self, example: Example, silenced: bool) -> None:
        """Keep an example where there is room."""
        examples = self.silenced_examples if silenced else self.kept_examples
        if len(examples) < _EXAMPLES:
            examples.append(example)


def is_silenced(found: Filter, known: KnownRule, event: Event) -> bool | None:
    """Whether the rule no longer fires for an event; None where that cannot be said."""
    if isinstance(known.rule, Correlation):
        part = known.parts[0]
        named = dict(event)
        for alias, fields in known.rule.aliases.items():
            if alias in event and part.id in fields:
                named[fields[part.id]] = event[alias]
        return not _holds(found, EventKind("", (part.logsource,)), named)
    kind = kind_of(known.rule, event)
    return None if kind is None else not _holds(found, kind, event)


def _holds(found: Filter, kind: EventKind, event: Event) -> bool:
    rule = Rule(found.id, found.title, found.logsource, (found.condition,))
    return explain_event(rule, kind, event, event_text(event)).matches


def preview_alerts(user: User, found: Filter, known: KnownRule) -> Preview:
    """Over the alerts of the rule of the last 30 days, by the findings kept of each; the newest first."""
    out = Preview()
    since = timezone.now() - timedelta(days=DAYS)
    alerts = Alert.objects.visible_to(user).filter(rule_id=known.rule.id, last_at__gte=since)
    out.there = alerts.count()
    end = time.monotonic() + _SECONDS
    newest = list(alerts.order_by("-last_at", "-id").values_list("id", flat=True)[:MOST_ALERTS])
    for start in range(0, len(newest), 100):
        if time.monotonic() > end:
            break
        chosen = newest[start : start + 100]
        records: dict[int, list[dict[str, Any]]] = {pk: [] for pk in chosen}
        for alert, record in AlertFinding.objects.filter(alert_id__in=chosen).values_list("alert_id", "record"):
            records[alert].append(record)
        for pk in chosen:
            _count(out, found, known, pk, records[pk])
            out.looked += 1
            if time.monotonic() > end:
                break
    out.whole = out.looked >= out.there
    return out


def _count(out: Preview, found: Filter, known: KnownRule, pk: int, records: Sequence[dict[str, Any]]) -> None:
    answers = [is_silenced(found, known, _event(record)) for record in records]
    if not records or None in answers:
        out.unknown += 1
        return
    if all(answers):
        out.silenced += 1
    elif any(answers):
        out.partly += 1
    else:
        out.kept += 1
    for record, silenced in zip(records, answers, strict=True):
        if silenced is all(answers):
            out.show(_example(record, pk), bool(silenced))
            break


def preview_lake(found: Filter, known: KnownRule) -> Preview:
    """Over the findings in the lake of the last 30 days, the newest first. Raises neighbours.Unreadable."""
    since = timezone.now() - timedelta(days=DAYS)
    micros = int(since.timestamp() * 1_000_000)
    ids = ", ".join(literal(name) for name in {known.rule.id, *(part.id for part in known.parts)})
    where = f"rule_id IN ({ids}) AND time >= TIMESTAMPTZ {literal(since.isoformat())}"
    limits = Limits(_LAKE_SECONDS - 1, 256, None, micros)

    def read() -> Preview:
        out = Preview()
        out.there = int(rows_of(f"SELECT count(*) AS n FROM findings WHERE {where}", limits)[0]["n"])  # noqa: S608
        columns = 'rule_id, CAST(time AS VARCHAR) AS t, host, "user", matched, event'
        sql = f"SELECT {columns} FROM findings WHERE {where} ORDER BY time DESC LIMIT {MOST_FINDINGS}"  # noqa: S608
        _count_rows(out, found, known, rows_of(sql, limits))
        return out

    return in_time(read, _LAKE_SECONDS + 2)


def _count_rows(out: Preview, found: Filter, known: KnownRule, rows: Iterable[dict[str, Any]]) -> None:
    end = time.monotonic() + _SECONDS
    parts = {part.id: KnownRule(part, (part,)) for part in known.parts}
    for row in rows:
        if time.monotonic() > end:
            break
        out.looked += 1
        record = {
            "time": row["t"],
            "host": row["host"],
            "user": row["user"],
            "event": _json(row["event"]),
            "matched": _json(row["matched"]),
        }
        silenced = is_silenced(found, parts.get(row["rule_id"], known), _event(record))
        if silenced is None:
            out.unknown += 1
            continue
        if silenced:
            out.silenced += 1
        else:
            out.kept += 1
        out.show(_example(record), silenced)
    out.whole = out.looked >= out.there


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError, msgspec.DecodeError):
        return None


def _event(record: dict[str, Any]) -> Event:
    event = record.get("event")
    return event if isinstance(event, dict) else {}


def _example(record: dict[str, Any], pk: int = 0) -> Example:
    matched = record.get("matched")
    parts = []
    for each in matched[:4] if isinstance(matched, list) else ():
        if isinstance(each, dict):
            text = printable(value_shown(each.get("value")))
            parts.append(f"{printable(str(each.get('field') or ''))}: {text[:160]}".removeprefix(": "))
    parts = list(dict.fromkeys(parts))
    if not parts:
        parts = [f"{name}: {printable(value_shown(value))[:80]}" for name, value in list(_event(record).items())[:4]]
    texts = (printable(str(record.get(name) or "")) for name in ("time", "host", "user"))
    return Example(*texts, "; ".join(parts), pk)
