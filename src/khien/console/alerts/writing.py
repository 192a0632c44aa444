"""Changing one or many alerts in one go: what is chosen, held, written, told of, and kept for undoing.

Only services call this. Statements are set-based: ten thousand alerts are a matter of a second or two.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Model
from django.utils import timezone

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.alerts import scanning, tally
from khien.console.alerts.criteria import Criteria
from khien.console.alerts.models import Alert, AlertActivity, BulkAction, Handback, Status
from khien.console.audit.services import hold_trail, record
from khien.console.concurrency import Changed

MOST_AT_ONCE = 10_000
_PART = 2_000
Row = dict[str, Any]
_FIELDS = (
    "id", "version", "title", "status", "verdict", "classification", "reason", "level", "unit_id", "owner_id",
    "incident_id", "last_at", "live_key",
)  # fmt: skip
Chosen = Alert | int | Criteria | Iterable[Alert | int] | Mapping[int, int | None]
"""An alert, several, ids, ids with the versions that were seen, or all that criteria match (10,000 at most)."""


@dataclass(slots=True)
class Done:
    """What was done: to which alerts; which were left alone because somebody had changed them; what undoes it."""

    ids: list[int]
    skipped: list[int] = field(default_factory=list)
    undo: int | None = None


def versions(chosen: Chosen) -> dict[int, int | None]:
    """Ids and the versions that were seen, None where that does not matter."""
    if isinstance(chosen, Criteria):
        return dict.fromkeys(scanning.find_all(chosen, MOST_AT_ONCE))
    if isinstance(chosen, Mapping):
        return dict(chosen)
    if isinstance(chosen, (Alert, int)):
        chosen = [chosen]
    return {each.pk if isinstance(each, Alert) else int(each): None for each in chosen}


def change(
    by: User,
    kind: str,
    chosen: Chosen,
    changes: Callable[[Row], Row],
    *,
    text: str = "",
    data: Mapping[str, Any] | None = None,
    check: Callable[[list[Row]], None] | None = None,
) -> Done:
    """Set what `changes` says for each alert the person sees; those for which it says nothing are left alone.

    `kind`: what is done, `close`: activities and the audit trail carry it. `check`: may refuse, seeing all rows.
    Raises Alert.DoesNotExist for a single one that is not seen, Changed for a single one somebody has changed.
    """
    demand(by, "alerts.work")
    wanted = versions(chosen)
    with transaction.atomic():
        rows = hold(by, wanted)
        if len(wanted) == 1 and not rows:
            raise Alert.DoesNotExist
        skipped = [row["id"] for row in rows if wanted[row["id"]] not in (None, row["version"])]
        if skipped and len(wanted) == 1:
            raise Changed(Alert.objects.visible_to(by).get(pk=skipped[0]))
        left = set(skipped)
        rows = [row for row in rows if row["id"] not in left]
        if check is not None:
            check(rows)
        planned = [(row, changes(row)) for row in rows]
        planned = [(row, {name: value for name, value in new.items() if row[name] != value}) for row, new in planned]
        planned = [(row, new) for row, new in planned if new]
        write(planned)
        ids = [row["id"] for row, _ in planned]
        remember(by, kind, ids, text, data)
        undo = _keep(by, kind, planned) if ids else None
        if ids:
            _audit(by, kind, planned, text, data)
    return Done(ids, skipped, undo)


def hold(by: User, ids: Iterable[int]) -> list[Row]:
    """Alerts the person sees, held until the end of the transaction, in the order of their ids."""
    hold_trail()
    rows: list[Row] = []
    for part in parts(sorted(ids)):
        seen = Alert.objects.visible_to(by).filter(pk__in=part).order_by("id")
        seen = seen.select_for_update(of=("self",), no_key=True)
        rows += seen.values(*_FIELDS)
    return rows


def write(planned: Sequence[tuple[Row, Row]]) -> None:
    """Write new values with all that hangs on them: version, tally, and word to the live service."""
    groups: dict[tuple[tuple[str, Any], ...], list[int]] = defaultdict(list)
    out, into = [], []
    handed: dict[str, list[int]] = defaultdict(list)
    for row, new in planned:
        groups[tuple(sorted(new.items()))].append(row["id"])
        before, after = row["status"], new.get("status", row["status"])
        if before == after:
            continue
        out.append(tally.cell(row["last_at"], row["unit_id"], row["level"], before))
        into.append(tally.cell(row["last_at"], row["unit_id"], row["level"], after))
        if row["live_key"] and Status.CLOSED in (before, after):
            handed["closed" if after == Status.CLOSED else "acknowledged"].append(row["id"])
    now = timezone.now()
    for values, ids in groups.items():
        for part in parts(ids):
            Alert.objects.filter(pk__in=part).update(**dict(values), version=F("version") + 1, updated_at=now)
    tally.shift(out, into)
    for told, ids in handed.items():
        _insert_for(ids, Handback, "live_key, status", "live_key, %s", [told])


def remember(by: User, kind: str, ids: Sequence[int], text: str = "", data: Mapping[str, Any] | None = None) -> None:
    """Note in each alert's course who did what."""
    at = connection.ops.adapt_datetimefield_value(timezone.now())
    as_json = "%s::jsonb" if connection.vendor == "postgresql" else "%s"
    columns = "alert_id, at, by_id, kind, text, data"
    values = [at, by.pk, kind, text, json.dumps(dict(data or {}))]
    _insert_for(ids, AlertActivity, columns, f"id, %s, %s, %s, %s, {as_json}", values)


def _insert_for(ids: Sequence[int], model: type[Model], columns: str, selected: str, values: list[Any]) -> None:
    """A row for each of some alerts, without bringing them into memory."""
    for part in parts(ids):
        marks = ", ".join(["%s"] * len(part))
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {model._meta.db_table} ({columns})"  # noqa: S608
                f" SELECT {selected} FROM alerts_alert WHERE id IN ({marks}) ORDER BY id",
                [*values, *part],
            )


def parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """A long list in pieces that a statement takes."""
    for start in range(0, len(ids), _PART):
        yield ids[start : start + _PART]


def _keep(by: User, kind: str, planned: Sequence[tuple[Row, Row]]) -> int:
    """What is needed to undo it."""
    names = sorted({name for _, new in planned for name in new})
    rows = [[row["id"], row["version"] + 1, [row[name] for name in names]] for row, _ in planned]
    return BulkAction.objects.create(kind=kind, by=by, fields=names, rows=rows).pk


def _audit(by: User, kind: str, planned: Sequence[tuple[Row, Row]], text: str, data: Mapping[str, Any] | None) -> None:
    after = {**(data or {}), **({"text": text} if text else {})}
    if len(planned) == 1:
        row, new = planned[0]
        target = Alert(pk=row["id"], title=row["title"])
        record(by, f"alert.{kind}", target, before={name: row[name] for name in new}, after={**new, **after})
        return
    names = sorted({name for _, new in planned for name in new})
    record(
        by,
        f"alert.{kind}",
        before={"fields": names, "alerts": [[row["id"], *(row[name] for name in names)] for row, _ in planned]},
        after={**after, "count": len(planned), "ids": [row["id"] for row, _ in planned]},
    )
