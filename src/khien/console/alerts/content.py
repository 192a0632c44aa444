"""The words of events, by which alerts are found: the same words in SQLite (FTS5) and PostgreSQL (tsvector).

A row for each finding kept of an alert; its number is `alert id * 16 + position`, so rows in falling order are alerts
in falling order of arrival. A text is split here, not in the database: at everything that is no letter or digit, in
lower case, without diacritics. Rows are added, never changed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import connection

POSITIONS = 16
KEPT = 10
"""Findings kept of an alert."""
MOST_WORDS = 2_000
_LONGEST_WORD = 80
_WORD = re.compile(r"[^\W_]+")
_MARKS = re.compile("[\u0300-\u036f\u031b\u0323]+")


def words(text: str) -> list[str]:
    """The words of a text, as they are stored and searched."""
    if not text.isascii():
        text = _MARKS.sub("", unicodedata.normalize("NFKD", text)).replace("đ", "d").replace("Đ", "d")
    return [word[:_LONGEST_WORD] for word in _WORD.findall(text.lower())]


def row_of(alert_id: int, position: int) -> int:
    """The number of the row of a finding."""
    return alert_id * POSITIONS + position


def words_of_finding(title: str, record: Mapping[str, Any]) -> list[str]:
    """The words of an alert's title, its rule's id, and the values of the event, in bounded number."""
    found = words(f"{title} {record.get('rule_id') or ''} {record.get('host') or ''} {record.get('user') or ''}")
    for text in _texts(record.get("event") or {}):
        found += words(text[:20_000])
        if len(found) >= MOST_WORDS:
            break
    return found[:MOST_WORDS]


def add(rows: Iterable[tuple[int, list[str]]]) -> None:
    """Keep words under the numbers of their rows, in the transaction of the alerts."""
    if connection.vendor == "sqlite":
        values = [(number, " ".join(found)) for number, found in rows]
        sql = "INSERT INTO alerts_content (rowid, words) VALUES (%s, %s)"
    else:
        values = [(number, vector(found)) for number, found in rows]
        sql = "INSERT INTO alerts_content (rowid, words) VALUES (%s, %s::tsvector) ON CONFLICT DO NOTHING"
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(sql, values)


def vector(found: list[str]) -> str:
    """Words as PostgreSQL writes a tsvector; they are letters and digits only, so nothing needs quoting inside."""
    places: dict[str, list[str]] = {}
    for place, word in enumerate(found, 1):
        places.setdefault(word, []).append(str(place))
    return " ".join(f"'{word}':{','.join(each[:250])}" for word, each in places.items())


def match(texts: Iterable[str]) -> str:
    """What to search for all of some texts, in the database's own language; "" when no text has a word.

    A text's words have to stand one after the other; with a `*` at its end its last word may go on.
    """
    parts = []
    for text in texts:
        found = words(text)
        if not found:
            continue
        star = text.rstrip().endswith("*")
        if connection.vendor == "sqlite":
            parts.append('"' + " ".join(found) + '"' + ("*" if star else ""))
        else:
            parts.append("(" + " <-> ".join(f"'{word}'" for word in found) + (":*)" if star else ")"))
    return (" AND " if connection.vendor == "sqlite" else " & ").join(parts)


def reading(ids: Sequence[int], texts: Sequence[str]) -> Iterator[int]:
    """Which of a few alerts have all of some texts in one finding, by reading their findings."""
    from khien.console.alerts.models import AlertFinding

    asked = [(" ".join(found), text.rstrip().endswith("*")) for text in texts if (found := words(text))]
    rows = AlertFinding.objects.filter(alert_id__in=ids).values_list("alert_id", "alert__title", "record")
    for pk, title, record in rows:
        text = f" {' '.join(words_of_finding(title, record))} "
        if all((f" {phrase}" if star else f" {phrase} ") in text for phrase, star in asked):
            yield pk


def condition() -> str:
    """SQL: that a row of `alerts_content` has what a parameter made by `match` asks for."""
    return "alerts_content MATCH %s" if connection.vendor == "sqlite" else "alerts_content.words @@ %s::tsquery"


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        if depth < 8:
            for each in value.values():
                yield from _texts(each, depth + 1)
    elif isinstance(value, list):
        if depth < 8:
            for each in value:
                yield from _texts(each, depth + 1)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
