"""For `bench/console.py`: findings of a live service, and (`python console_live.py feed`) the feed as a process of its own."""

from __future__ import annotations

import random
import signal
import sys
import time
from datetime import UTC, datetime
from typing import Any

import orjson

from khien.alerts.live_finding import LiveFinding, finding_id

_lot = random.Random()


def finding(number: int, marker: str = "") -> LiveFinding:
    """A finding of a host of its own, so that it is an alert of its own."""
    now = datetime.now(UTC)
    unit = number % 40
    rule = number * 7 % 400
    record = {
        "rule_id": f"5f0c2d4e-{rule:04d}-4a1b-9d2e-0123456789ab",
        "title": f"Arriving {rule}",
        "level": ("low", "medium", "medium", "high", "critical")[number % 5],
        "status": "stable",
        "tags": [f"attack.t{1000 + rule % 120}"],
        "logsource": {"product": "windows", "category": "process_creation", "service": ""},
        "time": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "host": f"u{unit:02d}-new-{number}-{_lot.getrandbits(24):x}",
        "user": f"user{number % 900}",
        "path": "spool",
        "record": number,
        "matched": [{"field": "CommandLine", "value": "powershell.exe -Enc", "pattern": "*"}],
        "event": {
            "EventID": 4688,
            "CommandLine": f"powershell.exe -Enc {_lot.getrandbits(64):016x} {marker}",
            "Image": "C:\\Windows\\System32\\powershell.exe",
        },
        "events": [],
    }
    micros = int(now.timestamp() * 1_000_000)
    return LiveFinding(
        finding_id("r", 0, number, _lot.getrandbits(30)),
        orjson.dumps(record),
        "bench",
        f"bench-{unit:02d}",
        micros,
        micros,
    )


def feed() -> None:
    """What the worker does: the chore, about twice a second."""
    import django

    django.setup()
    from khien.console.alerts.chores import CHORES

    going: list[Any] = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    chore = next(each for each in CHORES if each.name == "alerts.feed")
    while going:
        started = time.monotonic()
        chore.run()
        time.sleep(max(chore.every.total_seconds() - (time.monotonic() - started), 0.02))


if __name__ == "__main__" and sys.argv[1:] == ["feed"]:
    feed()
