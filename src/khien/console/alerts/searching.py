"""Finds alerts by the words of their events, the latest to arrive first, within what other conditions leave.

Three ways: when the other conditions leave few alerts, these are looked at one by one; when the words are rare, what
has them is read from the index of words; else one goes along the rows from the newest back. A search that has run for
`SEARCH_SECONDS` shows what it has found, and goes on from there when asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from django.db import connection

from khien.console.alerts import content, leads
from khien.console.alerts.branches import After, Found, branches
from khien.console.alerts.conditions import Where, where
from khien.console.alerts.criteria import Criteria
from khien.console.alerts.leads import Lead

SEARCH_SECONDS = 0.09
RARE = 3_000
"""So many rows that have the words PostgreSQL reads and sorts at once."""
GATHERED = 20_000
"""Beyond so many rows that have the words SQLite looks at few alerts themselves."""
_FIRST, _LARGEST = 300, 12_000
_NARROW = 4_000 * content.POSITIONS
_SPARE = 1.3
_LOOKED_AT = 1_000


def search(found: Criteria, after: After | None, most: int) -> Found:
    """A page of at most `most` alerts whose content has the texts."""
    wanted = content.match(found.texts)
    if not wanted:
        return Found([], False)
    few = leads.sparse(found)
    if connection.vendor == "sqlite":
        rows = _rows_in_sqlite
        if few is not None:
            return _search_few_in_sqlite(found, few, wanted, after, most)
    else:
        expected = _expected(wanted)
        rows = _rare_rows_in_postgresql if expected <= RARE else _rows_in_postgresql(expected)
        if few is not None and expected > RARE:
            return _search_few_in_postgresql(found, few, wanted, after, most)
    below = content.row_of(after.id, 0) if after is not None else None
    if below is None and found.upto is not None:
        below = content.row_of(found.upto + 1, 0)
    return _along(rows, found, wanted, below, most)


Rows = Callable[[str, int | None, int], list[int]]
"""From what is searched for, the row to stay below and a number: so many rows that have it, the newest first; fewer
only at the end."""


def _along(rows: Rows, found: Criteria, wanted: str, below: int | None, most: int) -> Found:
    """Rows that have the words in growing portions, and which of their alerts meet the other conditions."""
    part = where(found)
    narrowed = bool(part.parts)
    ids: list[int] = []
    known: set[int] = set()
    portion = max(most * 3, _FIRST)
    started, looked = time.monotonic(), 0
    while True:
        got = rows(wanted, below, portion)
        numbers = list(dict.fromkeys(row // content.POSITIONS for row in got))
        numbers = [number for number in numbers if number not in known]
        known.update(numbers)
        fitting = set(_fitting(numbers, part)) if narrowed else set(numbers)
        ids += [number for number in numbers if number in fitting]
        if len(ids) > most:
            return Found(ids[:most], True)
        if len(got) < portion:
            return Found(ids, False)
        below = got[-1]
        looked += portion
        took = time.monotonic() - started
        # What can still be looked at in time, as fast as it went so far.
        left = int(looked / max(took, 1e-6) * (SEARCH_SECONDS - took))
        if left < _FIRST:
            return Found(ids, True, below // content.POSITIONS)
        portion = max(min(portion * 5, left, _LARGEST), _FIRST)


def _expected(wanted: str) -> int:
    """About how many rows have the words, as PostgreSQL's statistics tell without looking."""
    sql = f"EXPLAIN (FORMAT JSON) SELECT 1 FROM alerts_content WHERE {content.condition()}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [wanted])
        plan = cursor.fetchone()[0]
    if isinstance(plan, str):
        plan = json.loads(plan)
    return int(plan[0]["Plan"]["Plan Rows"])


def _rare_rows_in_postgresql(wanted: str, below: int | None, most: int) -> list[int]:
    """Rows by the index of words: the sum keeps PostgreSQL from walking along the rows to have them in order."""
    bound = "" if below is None else " AND rowid < %s"
    sql = f"SELECT rowid FROM alerts_content WHERE {content.condition()}{bound} ORDER BY rowid + 0 DESC LIMIT %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [wanted, *([] if below is None else [below]), most])
        return [row[0] for row in cursor.fetchall()]


def _rows_in_postgresql(expected: int) -> Rows:
    """Rows by windows of numbers from the newest back: within one, PostgreSQL may use the index of words, and pages
    with old events need not be read. The first is narrow, as words that stand together are expected too rarely; the
    next are as wide as what was found so far lets expect."""

    def rows(wanted: str, below: int | None, most: int) -> list[int]:
        found: list[int] = []
        sql = (
            f"SELECT rowid FROM alerts_content WHERE {content.condition()} AND rowid < %s AND rowid >= %s"  # noqa: S608
            " ORDER BY rowid DESC LIMIT %s"
        )
        with connection.cursor() as cursor:
            cursor.execute("SELECT max(rowid) FROM alerts_content")
            end = (cursor.fetchone()[0] or 0) + 1
            top = start = end if below is None else min(below, end)
            widest = int(end * most * _SPARE / expected) + content.POSITIONS
            width = min(widest, _NARROW)
            while top > 0 and len(found) < most:
                low = max(top - width, 0)
                cursor.execute(sql, [wanted, top, low, most - len(found)])
                found += [row[0] for row in cursor.fetchall()]
                top = low
                seen = (start - top) / max(len(found), 0.5) * (most - len(found)) * _SPARE
                width = max(min(int(seen), width * 8), _NARROW)
        return found

    return rows


def _rows_in_sqlite(wanted: str, below: int | None, most: int) -> list[int]:
    """Rows as FTS5 gives them in order."""
    bound = "" if below is None else " AND rowid < %s"
    sql = f"SELECT rowid FROM alerts_content WHERE {content.condition()}{bound} ORDER BY rowid DESC LIMIT %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [wanted, *([] if below is None else [below]), most])
        return [row[0] for row in cursor.fetchall()]


def _fitting(numbers: Sequence[int], part: Where) -> Iterator[int]:
    """Which of some alerts meet conditions."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            sql = f"SELECT id FROM alerts_alert WHERE id = ANY(%s) AND {part.sql}"  # noqa: S608
            cursor.execute(sql, [list(numbers), *part.values])
            yield from (number for (number,) in cursor.fetchall())
        return
    for start in range(0, len(numbers), 5_000):
        some = numbers[start : start + 5_000]
        marks = ", ".join(["%s"] * len(some))
        with connection.cursor() as cursor:
            # NOT INDEXED keeps SQLite from any other index than that of the id.
            cursor.execute(
                f"SELECT id FROM alerts_alert NOT INDEXED WHERE id IN ({marks}) AND {part.sql}",  # noqa: S608
                [*some, *part.values],
            )
            yield from (number for (number,) in cursor.fetchall())


def _few(found: Criteria, lead: Lead, after: After | None) -> list[int]:
    """The few alerts that meet the other conditions, the latest to arrive first."""
    values: list[Any] = []
    parts = []
    for sql, given in branches(lead, replace(found, texts=()), None, "id", None):
        parts.append(sql)
        values += given
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        numbers = sorted((row[0] for row in cursor.fetchall()), reverse=True)
    return numbers if after is None else [number for number in numbers if number < after.id]


def _search_few_in_postgresql(found: Criteria, lead: Lead, wanted: str, after: After | None, most: int) -> Found:
    """Each of a few alerts is looked up by its numbers until the page is full or time is up."""
    started = time.monotonic()
    numbers = _few(found, lead, after)
    ids: list[int] = []
    sql = (
        "SELECT number FROM unnest(%s::bigint[]) WITH ORDINALITY AS few(number, place) WHERE EXISTS"  # noqa: S608
        f" (SELECT 1 FROM alerts_content WHERE rowid >= number * {content.POSITIONS}"
        f" AND rowid < (number + 1) * {content.POSITIONS} AND {content.condition()}) ORDER BY place LIMIT %s"
    )
    for start in range(0, len(numbers), _LOOKED_AT):
        some = numbers[start : start + _LOOKED_AT]
        with connection.cursor() as cursor:
            cursor.execute(sql, [some, wanted, most + 1 - len(ids)])
            ids += [number for (number,) in cursor.fetchall()]
        if len(ids) > most:
            return Found(ids[:most], True)
        if time.monotonic() - started > SEARCH_SECONDS and some[-1] != numbers[-1]:
            return Found(ids, True, some[-1])
    return Found(ids, False)


def _search_few_in_sqlite(found: Criteria, lead: Lead, wanted: str, after: After | None, most: int) -> Found:
    """The same by going along what matches, as FTS5 seeks slowly but counts fast; what lies behind the newest of too
    many matches is read itself."""
    numbers = _few(found, lead, after)
    ids: list[int] = []
    for number in _having_in_sqlite(numbers, wanted, found.texts):
        ids.append(number)
        if len(ids) > most:
            return Found(ids[:most], True)
    return Found(ids, False)


def _having_in_sqlite(numbers: list[int], wanted: str, texts: tuple[str, ...]) -> Iterator[int]:
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
