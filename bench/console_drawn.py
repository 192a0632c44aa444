"""Alerts drawn by lot for `bench/console.py`; nothing here needs a database, so a process of its own can do it.

Forty units, some four hundred rules and eight thousand hosts, all drawn with long tails; a hundred and eighty days, of
which the last two are still being worked on. The events are Windows process creations and sign-ins with words that are
rare (a GUID), middling and frequent.
"""

from __future__ import annotations

import multiprocessing
import random
from bisect import bisect
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from khien.console.alerts import content

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

    def rows(self, start: int, stop: int, n: int, end: datetime) -> Iterator[tuple[tuple[Any, ...], str, str]]:
        """Those numbered from `start` to before `stop` of `n`: (alert's row with its id, the finding's record, its words).

        The words are those that `content.words_of_finding` gives, put together from parts that were split once.
        """
        lot = self.lot
        draw, bits = lot.random, lot.getrandbits
        step = DAYS * 86400 / max(n, 1)
        titles = [" ".join(content.words(f"{title} {rule_id}")) for rule_id, title, _, _ in self.rules]
        tools = [" ".join(content.words(f"{tool} {flags}")) for tool, flags in zip(TOOLS, FLAGS, strict=True)]
        for number in range(start, stop):
            age = (n - number) * step
            at = min(end - timedelta(seconds=age - draw() * 3600), end).replace(microsecond=1 + int(draw() * 999_999))
            rule = self._drawn(self.rule_sums)
            rule_id, title, level, tags = self.rules[rule]
            unit = self._drawn(self.unit_sums)
            place = self._drawn(self.host_sums)
            host = f"u{unit:02d}-pc-{place:04d}"
            status = bisect((0.01, 0.04) if age > 2 * 86400 else (0.8, 0.95), draw())
            owner = self.owners[int(draw() * len(self.owners))] if status else None
            verdict = ("false_positive", "benign", "true_positive")[bisect((0.55, 0.95), draw())] if status == 2 else ""
            pk = 1 + number
            count = int((1 - draw()) ** (-1 / 1.2))
            tool = int(draw() * len(TOOLS))
            word, file = WORDS[int(draw() * len(WORDS))], WORDS[int(draw() * len(WORDS))]
            token, guid = f"{bits(64):016x}", f"{bits(128):032x}"
            command = f"{TOOLS[tool]} {FLAGS[tool]} C:\\\\Users\\\\{word}\\\\{file}.dat {token}"
            record = (
                f'{{"rule_id": "{rule_id}", "title": "{title}", "level": "high", "status": "stable", "tags": {tags}, "logsource": {{"product": "windows", "category": "process_creation", "service": ""}},'
                f' "time": "{at.isoformat()}", "host": "{host}", "user": "{word}", "path": "spool", "record": {pk}, "matched": [{{"field": "CommandLine", "value": "{command}", "pattern": "*"}}], "event": {{'
                f'"EventID": 4688, "Channel": "Security", "Computer": "{host}", "User": "SYT\\\\{word}", "Image": "C:\\\\Windows\\\\System32\\\\{TOOLS[tool]}",'
                f' "ParentImage": "C:\\\\Windows\\\\explorer.exe", "CommandLine": "{command}", "ProcessGuid": "{{{guid}}}", "IntegrityLevel": "High"}}, "events": []}}'
            )
            named = f"u{unit:02d} pc {place:04d}"
            found = (
                f"{titles[rule]} {named} {word} 4688 security {named} syt {word} c windows system32 {TOOLS[tool][:-4]} exe"
                f" c windows explorer exe {tools[tool]} c users {word} {file} dat {token} {guid} high"
            )
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


def _part(given: tuple[list[int], list[int], int, int, datetime, bool]) -> list[tuple[tuple[Any, ...], str, str]]:
    units, owners, start, n, end, vectors = given
    drawn = Alerts(units, owners, seed=start).rows(start, min(start + PART, n), n, end)
    return [(row, record, content.vector(words.split()) if vectors else words) for row, record, words in drawn]


def parts(units: list[int], owners: list[int], n: int, end: datetime, vectors: bool) -> Iterator[list[Any]]:
    """All of them in parts, drawn by a process of its own while another part is being written.

    Words are joined by spaces, or with `vectors` as PostgreSQL writes a tsvector.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(_part, (units, owners, 0, n, end, vectors))]
        for start in range(PART, n + PART, PART):
            if start < n:
                waiting.append(pool.submit(_part, (units, owners, start, n, end, vectors)))
            yield waiting.pop(0).result()
