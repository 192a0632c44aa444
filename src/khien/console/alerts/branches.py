"""The branches of a lead as SQL, and what a page of the queue is found by and as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from khien.console.alerts.conditions import Where, where
from khien.console.alerts.criteria import Criteria
from khien.console.alerts.leads import Lead


@dataclass(frozen=True, slots=True)
class After:
    """The last alert of the page before: what it is sorted by, and its id."""

    last_at: datetime | None = None
    id: int = 0
    level: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """Ids in order. `more`: there may be others behind them; `stopped`: searched until this id, time was up."""

    ids: list[int]
    more: bool
    stopped: int | None = None


def branches(
    lead: Lead, found: Criteria, after: After | None, columns: str, most: int | None, *, more: Where | None = None
) -> Iterator[tuple[str, list[Any]]]:
    """A SELECT with its values for each branch of a lead; with `most` in the order of the last finding, bounded."""
    rest = where(found, lead.done)
    if lead.extra:
        rest.add(lead.extra)
    if after is not None:
        rest.add("(last_at, id) < (%s, %s)", after.last_at, after.id)
    if more is not None:
        rest.parts += more.parts
        rest.values += more.values
    hint = f" INDEXED BY {lead.index}" if connection.vendor == "sqlite" else ""
    for branch in lead.branches:
        part = Where()
        for column, value in zip(lead.columns, branch, strict=True):
            part.among(column, [value])
        part.parts += rest.parts
        part.values += rest.values
        sql = f"SELECT {columns} FROM alerts_alert{hint} WHERE {part.sql}"  # noqa: S608
        if most is None:
            yield sql, part.values
        else:
            yield f"{sql} ORDER BY last_at DESC, id DESC LIMIT %s", [*part.values, most]
