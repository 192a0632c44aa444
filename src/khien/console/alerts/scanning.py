"""Finds the alerts that criteria ask for, a page at a time, with little work however many alerts there are."""

from __future__ import annotations

from typing import Any

from django.db import connection

from khien.console.alerts import leads
from khien.console.alerts.branches import After, Found, branches
from khien.console.alerts.conditions import Where
from khien.console.alerts.criteria import Criteria
from khien.console.alerts.leads import Lead
from khien.console.alerts.models import Level
from khien.console.alerts.searching import search

SORTS = ("last", "level", "count")
GATHERED = 20_000
"""So many alerts are sorted at once rather than found in the order of an index."""


def find(found: Criteria, sort: str = "last", after: After | None = None, most: int = 50) -> Found:
    """A page of alerts. With texts they come in falling order of arrival, else as `sort` says, the highest first."""
    if found.is_empty:
        return Found([], False)
    if found.texts:
        return search(found, after, most)
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
        page = search(found, after, min(most - len(ids), 1_000))
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
    for sql, given in branches(lead, found, None, "1", None):
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
    for sql, given in branches(lead, found, None, columns, most):
        parts.append(_subselect(sql))
        values += given
    sql = f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS merged ORDER BY last_at DESC, id DESC LIMIT %s"  # noqa: S608
    return sql, [*values, most]


def _by_time(found: Criteria, after: After | None, most: int) -> list[int]:
    lead = leads.choose(found, most)
    ids: list[tuple[Any, int]] = []
    every = list(branches(lead, found, after, "last_at, id", most))
    # One statement for as many branches as SQLite takes.
    for start in range(0, len(every), leads.MOST_BRANCHES):
        part = every[start : start + leads.MOST_BRANCHES]
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
    if len(every) > leads.MOST_BRANCHES:
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
    for sql, given in branches(lead, found, None, "count, last_at, id", None, more=part):
        parts.append(sql)
        values += given
    with connection.cursor() as cursor:
        if len(parts) == 1:
            cursor.execute(f"{parts[0]} ORDER BY {order} LIMIT %s", [*values, most])
        else:
            sql = f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS merged ORDER BY {order} LIMIT %s"  # noqa: S608
            cursor.execute(sql, [*values, most])
        return [row[2] for row in cursor.fetchall()]


def _subselect(sql: str) -> str:
    return f"SELECT * FROM ({sql}) AS branch"  # noqa: S608
