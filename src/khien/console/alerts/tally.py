"""Keeps `Tally` right: how many alerts there are by hour, unit, level and status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from khien.console.alerts.models import Tally

_SECONDS = 3600
ALL = -1
"""Stands for all hours, or for all units, so that sums over them are there to be read."""


class Cell(NamedTuple):
    """Where an alert is counted."""

    hour: int
    unit: int
    level: int
    status: int


def hour_of(at: datetime) -> int:
    """Hours since 1970 UTC."""
    return int(at.timestamp() // _SECONDS)


def cell(last_at: datetime, unit_id: int | None, level: int, status: int) -> Cell:
    """Where an alert is counted."""
    return Cell(hour_of(last_at), unit_id or 0, level, status)


def shift(out: Iterable[Cell], into: Iterable[Cell]) -> None:
    """Alerts left some cells and came into others, in the transaction that wrote them."""
    change: Counter[Cell] = Counter()
    for cells, step in ((into, 1), (out, -1)):
        for each in cells:
            for counted in (each, each._replace(hour=ALL), each._replace(unit=ALL)):
                change[counted] += step
    # Always in the same order, so that two writers do not wait for each other.
    rows = [(*each, n) for each, n in sorted(change.items()) if n]
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO alerts_tally (hour, unit, level, status, n) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (hour, unit, level, status) DO UPDATE SET n = alerts_tally.n + excluded.n",
            rows,
        )


def totals() -> Counter[tuple[int, int, int]]:
    """Alerts of all time by unit (0: none), level and status."""
    rows = Tally.objects.filter(hour=ALL).values_list("unit", "level", "status", "n")
    return Counter({(unit, level, status): n for unit, level, status, n in rows})
