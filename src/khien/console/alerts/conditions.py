"""Criteria as SQL. Values are always parameters; names are those of our own columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from khien.console.alerts.criteria import Criteria


@dataclass(slots=True)
class Where:
    """Parts of a WHERE, all of which hold, with their parameters."""

    parts: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, part: str, *values: Any) -> None:
        """One more."""
        self.parts.append(part)
        self.values += [moment(value) if isinstance(value, datetime) else value for value in values]

    def among(self, column: str, values: Iterable[Any], *, out: bool = False) -> None:
        """That a column has (`out`: has not) one of some values; None is null."""
        values = list(values)
        known = sorted(value for value in values if value is not None)
        if len(known) == 1:
            part = f"{column} {'<>' if out else '='} %s"
        elif known:
            part = f"{column} {'NOT IN' if out else 'IN'} ({', '.join(['%s'] * len(known))})"
        else:
            part = ""
        null = len(known) < len(values)
        if out:
            word = f"{column} IS NOT NULL" if null else f"({column} IS NULL OR {part})" if part else ""
            part = f"{part} AND {word}" if null and part else word
        elif null:
            part = f"({part} OR {column} IS NULL)" if part else f"{column} IS NULL"
        elif not part:
            part = "1 = 0"
        if part:
            self.add(part, *known)

    @property
    def sql(self) -> str:
        """The parts put together."""
        return " AND ".join(self.parts) or "1 = 1"


def moment(value: datetime) -> Any:
    """A time as the database compares it."""
    return connection.ops.adapt_datetimefield_value(value)


def where(found: Criteria, done: Sequence[str] = (), *, table: str = "") -> Where:
    """The conditions of criteria but the texts; `done`: columns that are dealt with already. `table`: `alias.`."""
    result = Where()
    for column, values in found.among.items():
        if column not in done:
            result.among(f"{table}{column}", values)
    for column, values in found.without:
        result.among(f"{table}{column}", values, out=True)
    if found.since is not None:
        result.add(f"{table}last_at >= %s", found.since)
    if found.until is not None:
        result.add(f"{table}last_at < %s", found.until)
    if found.upto is not None:
        result.add(f"{table}id <= %s", found.upto)
    if found.prefix:
        if connection.vendor == "sqlite":
            result.add(f"{table}entity_value >= %s", found.prefix)
            result.add(f"{table}entity_value < %s", found.prefix + "\U0010ffff")
        else:
            escaped = found.prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            result.add(f"{table}entity_value LIKE %s", escaped + "%")
    return result
