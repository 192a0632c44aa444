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

from django.db import OperationalError, connection, transaction

from khien.console.alerts import content, leads
from khien.console.alerts.branches import After, Found, branches
from khien.console.alerts.conditions import Where, where
from khien.console.alerts.criteria import Criteria
from khien.console.alerts.leads import Lead

SEARCH_SECONDS = 0.09
RARE = 3_000
"""So many rows that have the words PostgreSQL reads and sorts at once."""
GATHERED = 20_000
"""Rows with the words are few up to here; beyond, SQLite looks at few alerts themselves."""
_FIRST, _LARGEST = 300, 12_000
_LOOKED_AT = 1_000
_NARROW, _WIDE = 4_000, 250_000
_SPARE = 1.3
_BY_INDEX = 4
"""Going along so many times fewer rows than have a word takes as long as reading the index of words for it."""
_PATIENCE_MS = 500
"""So long PostgreSQL may look for words that are frequent, but rare together."""
_CANCELED = "57014"
"""PostgreSQL's code for a statement that was canceled, as by the time that was up."""

Rows = Callable[[str, int | None, int, float], tuple[list[int], int]]
"""From what is searched for, the row to stay below, a number and a time of `time.monotonic`: so many rows that have it,
the newest first, and the row down to which all were looked at. That is 0, the end, when there are fewer rows, unless
time was up."""


def search(found: Criteria, after: After | None, most: int) -> Found:
    """A page of at most `most` alerts whose content has the texts."""
    wanted = content.match(found.texts)
    if not wanted:
        return Found([], False)
    few = leads.sparse(found)
    if connection.vendor == "sqlite":
        if few is not None:
            return _search_few_in_sqlite(found, few, wanted, after, most)
        rows: Rows = _rows_in_order
    else:
        rarest = _rarest(found.texts)
        if few is not None and rarest > RARE:
            return _search_few_in_postgresql(found, few, wanted, after, most)
        rows = _rows_in_order if rarest <= RARE else _rows_in_postgresql(rarest)
    below = content.row_of(after.id, 0) if after is not None else None
    if below is None and found.upto is not None:
        below = content.row_of(found.upto + 1, 0)
    return _along(rows, found, wanted, below, most)


def _along(rows: Rows, found: Criteria, wanted: str, below: int | None, most: int) -> Found:
    """Rows that have the words in growing portions, and which of their alerts meet the other conditions."""
    part = where(found)
    narrowed = bool(part.parts)
    ids: list[int] = []
    known: set[int] = set()
    portion = max(most * 3, _FIRST)
    started, looked = time.monotonic(), 0
    while True:
        got, reached = rows(wanted, below, portion, started + SEARCH_SECONDS)
        numbers = list(dict.fromkeys(row // content.POSITIONS for row in got))
        numbers = [number for number in numbers if number not in known]
        known.update(numbers)
        fitting = set(_fitting(numbers, part)) if narrowed else set(numbers)
        ids += [number for number in numbers if number in fitting]
        if len(ids) > most:
            return Found(ids[:most], True)
        if reached == 0:
            return Found(ids, False)
        looked += portion
        took = time.monotonic() - started
        # What can still be looked at in time, as fast as it went so far.
        left = int(looked / max(took, 1e-6) * (SEARCH_SECONDS - took))
        if left < _FIRST:
            return Found(ids, True, reached // content.POSITIONS)
        below, portion = reached, max(min(portion * 5, left, _LARGEST), _FIRST)


def _rarest(texts: tuple[str, ...]) -> int:
    """At most about how many rows have the rarest word of some texts, as PostgreSQL's statistics tell without looking.

    What they tell of words together is of no use: words that stand together are expected far too rarely.
    """
    each = []
    for text in texts:
        *words, last = content.words(text) or [""]
        each += [*words, f"{last}*" if text.rstrip().endswith("*") else last]
    each = [content.match((word,)) for word in sorted(set(each) - {"", "*"})[:40]]
    sql = " UNION ALL ".join([f"SELECT 1 FROM alerts_content WHERE {content.condition()}"] * len(each))  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", each)
        plan = cursor.fetchone()[0]
    if isinstance(plan, str):
        plan = json.loads(plan)
    top = plan[0]["Plan"]
    return min(int(one["Plan Rows"]) for one in (top["Plans"] if len(each) > 1 else [top]))


def _rows_in_postgresql(rarest: int) -> Rows:
    """Rows by windows of numbers from the newest back, the first narrow, the next as wide as what was found so far lets
    expect. So pages with old events are not read for words that are found in new ones. Within a window one goes along
    the rows, or, where that is faster, by the index of words."""

    def rows(wanted: str, below: int | None, most: int, until: float) -> tuple[list[int], int]:
        found: list[int] = []
        with connection.cursor() as cursor:
            cursor.execute("SELECT max(rowid) FROM alerts_content")
            end = (cursor.fetchone()[0] or 0) + 1
            top = start = end if below is None else min(below, end)
            width, tried = _NARROW, False
            while True:
                low = max(top - width * content.POSITIONS, 0)
                # IS TRUE keeps PostgreSQL from the index of words, which it has to read whole.
                along = "" if width * _BY_INDEX > rarest else " IS TRUE"
                sql = (
                    f"SELECT rowid FROM alerts_content WHERE ({content.condition()}){along}"  # noqa: S608
                    " AND rowid < %s AND rowid >= %s ORDER BY rowid DESC LIMIT %s"
                )
                cursor.execute(sql, [wanted, top, low, most - len(found)])
                found += [row[0] for row in cursor.fetchall()]
                top = low
                if len(found) >= most:
                    return found, found[-1]
                if top == 0:
                    return found, 0
                seen = (start - top) / content.POSITIONS
                rest = int(seen / max(len(found), 0.5) * (most - len(found)) * _SPARE) + 1
                late = time.monotonic() > until
                far = late or (rest > _WIDE and seen > 8 * _NARROW)
                if far and not tried and len(found) / seen * top < GATHERED * content.POSITIONS:
                    # Frequent words that are rare together: one would go along for long.
                    tried, more = True, _rest_by_index(wanted, top, most - len(found))
                    if more is not None:
                        return _reaching(found + more, most)
                if late:
                    return found, top
                width = min(rest, width * 8, _WIDE)

    return rows


def _rest_by_index(wanted: str, top: int, most: int) -> list[int] | None:
    """The rows below one by the index of words; None when there are too many to be told in time."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {_PATIENCE_MS}")
            found = _rows_in_order(wanted, top, most, 0.0)[0]
            cursor.execute("SET LOCAL statement_timeout TO DEFAULT")  # not for what follows in a transaction around it
            return found
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != _CANCELED:
            raise
        return None


def _rows_in_order(wanted: str, below: int | None, most: int, until: float) -> tuple[list[int], int]:
    """Rows at once: as FTS5 gives them in order; in PostgreSQL by the index of words."""
    bound = "" if below is None else " AND rowid < %s"
    # The sum keeps PostgreSQL from going along the rows to have them in order.
    order = "rowid" if connection.vendor == "sqlite" else "rowid + 0"
    sql = f"SELECT rowid FROM alerts_content WHERE {content.condition()}{bound} ORDER BY {order} DESC LIMIT %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [wanted, *([] if below is None else [below]), most])
        return _reaching([row[0] for row in cursor.fetchall()], most)


def _reaching(rows: list[int], most: int) -> tuple[list[int], int]:
    """Rows, and the last of them when there may be more behind it."""
    return rows, rows[-1] if len(rows) >= most else 0


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
