"""Alerts by the million for `bench/console.py`: written as the feed writes them, but in bulk.

Forty units, some four hundred rules and eight thousand hosts, all drawn with long tails; a hundred and eighty days, of
which the last two are still being worked on. The events are Windows process creations and sign-ins with words that are
rare (a GUID), middling and frequent.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import time
from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from django.db import connection, transaction

from khien.console.accounts.models import User
from khien.console.accounts.roles import Role
from khien.console.alerts import content, tally
from khien.console.alerts.models import SeenRule
from khien.console.units.models import Unit, UnitKind

UNITS, RULES, HOSTS, DAYS = 40, 400, 8_000, 180
PART = 20_000
SUBJECTS = [
    "LSASS dump",
    "Encoded command",
    "Scheduled task",
    "Remote service",
    "Suspicious download",
    "Shadow copy deletion",
    "Pass the hash",
    "Web shell",
    "Defender disabled",
    "DNS tunnel",
]
MEANS = [
    "via comsvcs",
    "by certutil",
    "from an office document",
    "over WMI",
    "by rundll32",
    "through a proxy",
    "from a temp folder",
    "by a service account",
]
TOOLS = (
    "powershell.exe",
    "cmd.exe",
    "rundll32.exe",
    "certutil.exe",
    "wmic.exe",
    "schtasks.exe",
    "reg.exe",
    "mshta.exe",
)
FLAGS = (
    "-NoP -W Hidden -Enc",
    "/c whoami",
    "comsvcs.dll MiniDump",
    "-urlcache -split -f",
    "process call create",
    "/create /sc minute",
    "add HKLM Software",
    "vbscript Execute",
)
WORDS = [
    f"{a}{b}"
    for a in ("alpha", "bao", "cao", "delta", "echo", "phuong", "golf", "hai", "an", "kilo")
    for b in range(80)
]
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


def rules() -> list[tuple[str, str, int, str]]:
    """Id, title, level and tags as JSON."""
    lot = random.Random(3)
    found = []
    for n in range(RULES):
        title = f"{SUBJECTS[n % len(SUBJECTS)]} {MEANS[n // len(SUBJECTS) % len(MEANS)]} {n}"
        tags = f'["attack.t{1000 + n % 120}", "attack.{lot.choice(("execution", "persistence", "credential-access"))}"]'
        found.append(
            (f"5f0c2d4e-{n:04d}-4a1b-9d2e-0123456789ab", title, lot.choices(range(5), (5, 25, 40, 25, 5))[0], tags)
        )
    return found


class Alerts:
    """Draws alerts of the last `DAYS` days."""

    def __init__(self, units: list[int], owners: list[int], seed: int = 1) -> None:
        self.lot = random.Random(seed)
        self.units, self.owners, self.rules = units, owners, rules()
        self.unit_sums = list(accumulate(1 / (n + 2) ** 0.7 for n in range(UNITS)))
        self.rule_sums = list(accumulate(1 / (n + 2) for n in range(RULES)))
        self.host_sums = list(accumulate(1 / (n + 5) ** 0.8 for n in range(HOSTS // UNITS)))

    def _drawn(self, sums: list[float]) -> int:
        return bisect(sums, self.lot.random() * sums[-1])

    def rows(self, start: int, stop: int, n: int, end: datetime) -> Iterator[tuple[tuple[Any, ...], str, list[str]]]:
        """Those numbered from `start` to before `stop` of `n`: (alert's row with its id, the finding's record, its words)."""
        lot = self.lot
        step = DAYS * 86400 / max(n, 1)
        for number in range(start, stop):
            at = end - timedelta(seconds=(n - number) * step - lot.random() * 3600)
            at = min(at, end).replace(microsecond=lot.randrange(1, 1_000_000))
            rule_id, title, level, tags = self.rules[self._drawn(self.rule_sums)]
            unit = self._drawn(self.unit_sums)
            host = f"u{unit:02d}-pc-{self._drawn(self.host_sums):04d}"
            old = (n - number) * step > 2 * 86400
            status = lot.choices((0, 1, 2), (1, 3, 96) if old else (80, 15, 5))[0]
            owner = lot.choice(self.owners) if status else None
            verdict = lot.choices(("false_positive", "benign", "true_positive"), (55, 40, 5))[0] if status == 2 else ""
            pk = 1 + number
            count = int(lot.paretovariate(1.2))
            tool = lot.randrange(len(TOOLS))
            word = lot.choice(WORDS)
            command = f"{TOOLS[tool]} {FLAGS[tool]} C:\\\\Users\\\\{word}\\\\{lot.choice(WORDS)}.dat {lot.getrandbits(64):016x}"
            event = (
                f'"EventID": 4688, "Channel": "Security", "Computer": "{host}", "User": "SYT\\\\{word}", "Image": "C:\\\\Windows\\\\System32\\\\{TOOLS[tool]}",'
                f' "ParentImage": "C:\\\\Windows\\\\explorer.exe", "CommandLine": "{command}", "ProcessGuid": "{{{lot.getrandbits(128):032x}}}", "IntegrityLevel": "High"'
            )
            record = (
                f'{{"rule_id": "{rule_id}", "title": "{title}", "level": "high", "status": "stable", "tags": {tags}, "logsource": {{"product": "windows", "category": "process_creation", "service": ""}},'
                f' "time": "{at.isoformat()}", "host": "{host}", "user": "{word}", "path": "spool", "record": {pk}, "matched": [{{"field": "CommandLine", "value": "{command}", "pattern": "*"}}], "event": {{{event}}}, "events": []}}'
            )
            found = content.words(f"{title} {rule_id} {host} {word} 4688 Security {event}")
            key = f"{pk:032x}"
            row = (
                pk,
                key,
                key,
                0,
                rule_id,
                title,
                level,
                status,
                verdict,
                "",
                "",
                self.units[unit],
                "host",
                host,
                f'[["host", "{host}"], ["user", "{word}"]]',
                tags,
                '["bench"]',
                count,
                at - timedelta(minutes=5),
                at,
                at,
                at,
                owner,
                1,
            )
            yield row, record, found


def _part(given: tuple[list[int], list[int], int, int, datetime]) -> list[tuple[tuple[Any, ...], str, list[str]]]:
    units, owners, start, n, end = given
    return list(Alerts(units, owners, seed=start).rows(start, min(start + PART, n), n, end))


def parts(units: list[int], owners: list[int], n: int, end: datetime) -> Iterator[list[Any]]:
    """All of them in parts, drawn by a process of its own while another part is being written."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(_part, (units, owners, 0, n, end))]
        for start in range(PART, n + PART, PART):
            if start < n:
                waiting.append(pool.submit(_part, (units, owners, start, n, end)))
            yield waiting.pop(0).result()


def fill(n: int, *, end: datetime | None = None) -> float:
    """Write `n` alerts into an empty database; the seconds it took."""
    started = time.monotonic()
    end = end or datetime.now(UTC)
    with transaction.atomic():
        units, people = province()
    stream = parts(units, [person.pk for person in people], n, end)
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
            [(content.row_of(row[0], 0), " ".join(found)) for row, _, found in part],
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
                    out.write_row((content.row_of(row[0], 0), content.vector(found)))
            cells.update(tally.cell(row[19], row[11], row[6], row[7]) for row, _, _ in part)
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('alerts_alert', 'id'), (SELECT max(id) FROM alerts_alert))"
        )
        for _, sql in indexes:
            cursor.execute(sql)
        cursor.execute("VACUUM ANALYZE")
    return cells
