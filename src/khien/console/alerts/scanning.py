"""Finds the alerts that criteria ask for, a page at a time, with little work however many alerts there are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import connection

from khien.console.alerts import content, leads
from khien.console.alerts.conditions import Where, where
from khien.console.alerts.criteria import Criteria
from khien.console.alerts.leads import Lead
from khien.console.alerts.models import Level

SORTS = ("last", "level", "count")
GATHERED = 20_000
"""So many alerts are sorted at once rather than found in the order of an index."""
SEARCH_SECONDS = 0.12
_PORTIONS = (300, 1_500, 6_000, 12_000)


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


def find(found: Criteria, sort: str = "last", after: After | None = None, most: int = 50) -> Found:
    """A page of alerts. With texts they come in falling order of arrival, else as `sort` says, the highest first."""
    if found.is_empty:
        return Found([], False)
    if found.texts:
        return _search(found, after, most)
    if sort == "level":
        ids = _by_level(found, after, most + 1)
    elif sort == "count":
        ids = _by_count(found, after, most + 1)
    else:
        ids = _by_time(found, after, most + 1)
    return Found(ids[:most], len(ids) > most)


def find_all(found: Criteria, most: int) -> list[int]:
    """At most `most` ids, the latest first: what is done to all that match. Content is searched to the end."""
    ids: list[int] = []
    if found.is_empty:
        return ids
    if not found.texts:
        return _by_time(found, None, most)
    after: After | None = None
    while len(ids) < most:
        page = _search(found, after, min(most - len(ids), 1_000))
        ids += page.ids
        if not page.more:
            break
        after = After(id=page.stopped if page.stopped is not None else ids[-1])
    return ids


def count(found: Criteria, most: int = 10_000) -> int:
    """How many match, at most `most` + 1. Not for texts."""
    if found.is_empty:
        return 0
    lead = leads.choose(found, most + 1)
    parts, values = [], []
    for sql, given in _branches(lead, found, None, "1", None):
        parts.append(sql)
        values += given
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM ({' UNION ALL '.join(parts)}) AS each_one LIMIT %s) AS part",  # noqa: S608
            [*values, most + 1],
        )
        return int(cursor.fetchone()[0])


def latest(found: Criteria, columns: str, most: int) -> tuple[str, list[Any]]:
    """SQL and values for some columns of the latest alerts that match (`columns` includes last_at and id)."""
    lead = leads.choose(found, most)
    parts, values = [], []
    for sql, given in _branches(lead, found, None, columns, most):
        parts.append(_subselect(sql))
        values += given
    sql = f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS merged ORDER BY last_at DESC, id DESC LIMIT %s"  # noqa: S608
    return sql, [*values, most]


def _by_time(found: Criteria, after: After | None, most: int) -> list[int]:
    lead = leads.choose(found, most)
    ids: list[tuple[Any, int]] = []
    branches = list(_branches(lead, found, after, "last_at, id", most))
    # One statement for as many branches as SQLite takes.
    for start in range(0, len(branches), leads.MOST_BRANCHES):
        part = branches[start : start + leads.MOST_BRANCHES]
        sql = " UNION ALL ".join(_subselect(each) for each, _ in part)
        values = [value for _, given in part for value in given]
        with connection.cursor() as cursor:
            if len(part) == 1:
                cursor.execute(part[0][0], values)
            else:
                cursor.execute(
                    f"SELECT last_at, id FROM ({sql}) AS merged ORDER BY last_at DESC, id DESC LIMIT %s",  # noqa: S608
                    [*values, most],
                )
            ids += cursor.fetchall()
    if len(branches) > leads.MOST_BRANCHES:
        ids.sort(reverse=True)
    return [number for _, number in ids[:most]]


def _by_level(found: Criteria, after: After | None, most: int) -> list[int]:
    """Level by level from the highest; within one the latest first."""
    ids: list[int] = []
    for level in sorted(found.among.get("level", Level.values), reverse=True):
        if len(ids) >= most or (after is not None and level > after.level):
            continue
        here = after if after is not None and level == after.level else None
        ids += _by_time(found.within("level", [level]), here, most - len(ids))
    return ids


def _by_count(found: Criteria, after: After | None, most: int) -> list[int]:
    lead = leads.choose(found, GATHERED)
    along = Lead("alert_count", (), ((),), leads.everything())
    if lead.size > GATHERED or along.cost(leads.share(found), most) < lead.size:
        lead = along
    order = "count DESC, last_at DESC, id DESC"
    part = Where()
    if after is not None:
        part.add("(count, last_at, id) < (%s, %s, %s)", after.count, after.last_at, after.id)
    parts, values = [], []
    for sql, given in _branches(lead, found, None, "count, last_at, id", None, more=part):
        parts.append(sql)
        values += given
    with connection.cursor() as cursor:
        if len(parts) == 1:
            cursor.execute(f"{parts[0]} ORDER BY {order} LIMIT %s", [*values, most])
        else:
            sql = f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS merged ORDER BY {order} LIMIT %s"  # noqa: S608
            cursor.execute(sql, [*values, most])
        return [row[2] for row in cursor.fetchall()]


def _branches(
    lead: Lead, found: Criteria, after: After | None, columns: str, most: int | None, *, more: Where | None = None
) -> Iterator[tuple[str, list[Any]]]:
    """A SELECT for each branch of a lead; with `most` in the order of the last finding, bounded."""
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


def _subselect(sql: str) -> str:
    return f"SELECT * FROM ({sql}) AS branch"  # noqa: S608


def _search(found: Criteria, after: After | None, most: int) -> Found:
    """Alerts whose content has the texts, the latest to arrive first."""
    wanted = content.match(found.texts)
    if not wanted:
        return Found([], False)
    few = leads.sparse(found)
    if few is not None:
        return _search_few(found, few, wanted, after, most)
    below = content.row_of(after.id, 0) if after is not None else None
    if below is None and found.upto is not None:
        below = content.row_of(found.upto + 1, 0)
    part = where(found)
    narrowed = bool(part.parts)
    ids: list[int] = []
    known: set[int] = set()
    started = time.monotonic()
    size = max(most * 3, _PORTIONS[0])
    for portion in _portions(size):
        rows = _rows(wanted, below, portion)
        numbers = list(dict.fromkeys(row // content.POSITIONS for row in rows))
        numbers = [number for number in numbers if number not in known]
        known.update(numbers)
        fitting = set(_fitting(numbers, part)) if narrowed else set(numbers)
        ids += [number for number in numbers if number in fitting]
        if len(ids) > most:
            return Found(ids[:most], True)
        if len(rows) < portion:
            return Found(ids, False)
        below = rows[-1]
        if time.monotonic() - started > SEARCH_SECONDS:
            break
    assert below is not None
    return Found(ids, True, below // content.POSITIONS)


def _portions(first: int) -> Iterator[int]:
    yield first
    for portion in _PORTIONS[1:]:
        yield max(portion, first)
    while True:
        yield max(_PORTIONS[-1], first)


def _rows(wanted: str, below: int | None, most: int) -> list[int]:
    bound = "" if below is None else " AND rowid < %s"
    sql = f"SELECT rowid FROM alerts_content WHERE {content.condition()}{bound} ORDER BY rowid DESC LIMIT %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [wanted, *([] if below is None else [below]), most])
        return [row[0] for row in cursor.fetchall()]


def _fitting(numbers: Sequence[int], part: Where) -> Iterator[int]:
    """Which of some alerts meet conditions."""
    for start in range(0, len(numbers), 5_000):
        some = numbers[start : start + 5_000]
        marks = ", ".join(["%s"] * len(some))
        with connection.cursor() as cursor:
            # NOT INDEXED keeps SQLite from any other index than that of the id.
            cursor.execute(
                f"SELECT id FROM alerts_alert {'NOT INDEXED' if connection.vendor == 'sqlite' else ''}"  # noqa: S608
                f" WHERE id IN ({marks}) AND {part.sql}",
                [*some, *part.values],
            )
            for (number,) in cursor.fetchall():
                yield number


def _search_few(found: Criteria, lead: Lead, wanted: str, after: After | None, most: int) -> Found:
    """Few alerts meet the other conditions: look whether their content has the texts."""
    plain = replace(found, texts=())
    values: list[Any] = []
    parts = []
    for sql, given in _branches(lead, plain, None, "id", None):
        parts.append(sql)
        values += given
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        numbers = sorted((row[0] for row in cursor.fetchall()), reverse=True)
    if after is not None:
        numbers = [number for number in numbers if number < after.id]
    looked = _few_in_sqlite if connection.vendor == "sqlite" else _few_in_postgresql
    ids = list(islice(looked(numbers, wanted, found.texts), most + 1))
    return Found(ids[:most], len(ids) > most)


def _few_in_postgresql(numbers: list[int], wanted: str, texts: tuple[str, ...]) -> Iterator[int]:
    """Those of some alerts whose content has the texts: each row is looked up by its number."""
    for start in range(0, len(numbers), 500):
        some = numbers[start : start + 500]
        rows = ", ".join(str(content.row_of(number, place)) for number in some for place in range(content.KEPT))
        with connection.cursor() as cursor:
            sql = f"SELECT rowid FROM alerts_content WHERE {content.condition()} AND rowid IN ({rows})"  # noqa: S608
            cursor.execute(sql, [wanted])
            hits = {row[0] // content.POSITIONS for row in cursor.fetchall()}
        yield from (number for number in some if number in hits)


def _few_in_sqlite(numbers: list[int], wanted: str, texts: tuple[str, ...]) -> Iterator[int]:
    """The same by going along what matches, as FTS5 seeks slowly but counts fast; what lies behind the newest of too
    many matches is read itself."""
    if not numbers:
        return
    below = content.row_of(numbers[0] + 1, 0)
    sql = (
        f"SELECT rowid FROM alerts_content WHERE {content.condition()} AND rowid < %s AND rowid >= %s"  # noqa: S608
        " ORDER BY rowid DESC LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [wanted, below, content.row_of(numbers[-1], 0), GATHERED])
        rows = [row[0] for row in cursor.fetchall()]
    hits = {row // content.POSITIONS for row in rows}
    end = rows[-1] // content.POSITIONS if len(rows) == GATHERED else 0
    yield from (number for number in numbers if number in hits and number > end)
    left = [number for number in numbers if number <= end]
    for start in range(0, len(left), 200):
        some = left[start : start + 200]
        having = set(content.reading(some, texts))
        yield from (number for number in some if number in having)
