"""Alerts by the million for `bench/console.py`: written as the feed writes them, but in bulk."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from console_drawn import UNITS, parts, rules
from khien.console.accounts.models import User
from khien.console.accounts.roles import Role
from khien.console.alerts import content, tally
from khien.console.alerts.models import SeenRule
from khien.console.units.models import Unit, UnitKind

SOURCE = (
    "key",
    "live_key",
    "live_offset",
    "rule_id",
    "title",
    "level",
    "status",
    "verdict",
    "classification",
    "reason",
    "unit_id",
    "entity_kind",
    "entity_value",
    "entities",
    "tags",
    "sources",
    "count",
    "first_at",
    "last_at",
    "arrived_at",
    "updated_at",
    "owner_id",
    "version",
)


def province() -> tuple[list[int], list[User]]:
    """Units and people to work with, made when they are not there: (ids of units, [analyst, duty officer, others])."""
    kinds = {
        code: UnitKind.objects.get_or_create(
            code=code, defaults={"name_vi": code, "name_en": code, "oversees": oversees}
        )[0]
        for code, oversees in (("bench-office", True), ("bench-department", False))
    }
    root = _unit("bench-tieu-ban", "Tiểu ban (đo)", kinds["bench-office"], None)
    units = [_unit(f"bench-{n:02d}", f"Đơn vị đo {n:02d}", kinds["bench-department"], root) for n in range(UNITS)]
    people = []
    for name, unit, role in (
        ("analyst", root, Role.ANALYST),
        ("duty", units[3], Role.DUTY_OFFICER),
        ("second", root, Role.ANALYST),
    ):
        email = f"{name}@bench.example.vn"
        people.append(
            User.objects.filter(email=email).first()
            or User.objects.create_user(email, None, name=f"Người đo {name}", unit=unit, role=role)
        )
    return [unit.pk for unit in units], people


def _unit(code: str, name: str, kind: UnitKind, parent: Unit | None) -> Unit:
    unit = Unit.objects.filter(code=code).first()
    if unit is None:
        unit = Unit.objects.create(code=code, name=name, kind=kind, parent=parent)
        unit.path = f"{parent.path if parent else ''}{unit.pk}."
        unit.save()
    return unit


def fill(n: int, *, end: datetime | None = None) -> float:
    """Write `n` alerts into an empty database; the seconds it took."""
    started = time.monotonic()
    end = end or datetime.now(UTC)
    with transaction.atomic():
        units, people = province()
    stream = parts(units, [person.pk for person in people], n, end, connection.vendor != "sqlite")
    SeenRule.objects.bulk_create(
        (
            SeenRule(rule_id=rule_id, title=title, level=level, tags=json.loads(tags))
            for rule_id, title, level, tags in rules()
        ),
        ignore_conflicts=True,
    )
    cells = _fill_sqlite(stream) if connection.vendor == "sqlite" else _fill_postgresql(stream)
    with transaction.atomic():
        _tally(cells)
    return time.monotonic() - started


def _tally(cells: Counter[tally.Cell]) -> None:
    sums: Counter[tally.Cell] = Counter()
    for each, n in cells.items():
        for counted in (each, each._replace(hour=tally.ALL), each._replace(unit=tally.ALL)):
            sums[counted] += n
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO alerts_tally (hour, unit, level, status, n) VALUES (%s, %s, %s, %s, %s)",
            [(*each, n) for each, n in sorted(sums.items())],
        )


def _indexes(table: str) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = %s AND sql IS NOT NULL",
                [table],
            )
        else:
            cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexname NOT IN (SELECT conname FROM pg_constraint)",
                [table],
            )
        return list(cursor.fetchall())


def _fill_sqlite(stream: Iterator[list[Any]]) -> Counter[tally.Cell]:
    cells: Counter[tally.Cell] = Counter()
    columns = ", ".join(("id", *SOURCE))
    connection.ensure_connection()
    raw = connection.connection
    indexes = _indexes("alerts_alert")
    raw.execute("PRAGMA synchronous = OFF")
    raw.execute("PRAGMA cache_size = -262144")
    for name, _ in indexes:
        raw.execute(f'DROP INDEX "{name}"')
    for part in stream:
        raw.execute("BEGIN")
        raw.executemany(
            f"INSERT INTO alerts_alert ({columns}) VALUES ({', '.join('?' * (len(SOURCE) + 1))})",
            [(*row[:18], *(str(at.replace(tzinfo=None)) for at in row[18:22]), *row[22:]) for row, _, _ in part],
        )
        raw.executemany(
            "INSERT INTO alerts_alertfinding (alert_id, position, record) VALUES (?, 0, ?)",
            [(row[0], record) for row, record, _ in part],
        )
        raw.executemany(
            "INSERT INTO alerts_content (rowid, words) VALUES (?, ?)",
            [(content.row_of(row[0], 0), found) for row, _, found in part],
        )
        raw.execute("COMMIT")
        cells.update(tally.cell(row[19], row[11], row[6], row[7]) for row, _, _ in part)
    for _, sql in indexes:
        raw.execute(sql)
    raw.execute("ANALYZE")
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return cells


def _fill_postgresql(stream: Iterator[list[Any]]) -> Counter[tally.Cell]:
    cells: Counter[tally.Cell] = Counter()
    indexes = _indexes("alerts_alert") + _indexes("alerts_content") + _indexes("alerts_alertfinding")
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '1GB'")
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        for part in stream:
            with cursor.copy(f"COPY alerts_alert ({', '.join(('id', *SOURCE))}) FROM STDIN") as out:
                for row, _, _ in part:
                    out.write_row(row)
            with cursor.copy("COPY alerts_alertfinding (alert_id, position, record) FROM STDIN") as out:
                for row, record, _ in part:
                    out.write_row((row[0], 0, record))
            with cursor.copy("COPY alerts_content (rowid, words) FROM STDIN") as out:
                for row, _, found in part:
                    out.write_row((content.row_of(row[0], 0), found))
            cells.update(tally.cell(row[19], row[11], row[6], row[7]) for row, _, _ in part)
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('alerts_alert', 'id'), (SELECT max(id) FROM alerts_alert))"
        )
        for _, sql in indexes:
            cursor.execute(sql)
        cursor.execute("VACUUM ANALYZE")
    return cells
