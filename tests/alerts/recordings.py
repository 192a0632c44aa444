"""Findings of the live flow, made for tests. Times are in seconds after midnight of 2026-03-01 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from khien.alerts.live_finding import LiveFinding, finding_id

SECOND = 1_000_000
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
START = int(MIDNIGHT.timestamp()) * SECOND


def moment(seconds: float) -> int:
    """Microseconds UTC."""
    return START + int(seconds * SECOND)


def finding(
    number: int,
    at: float = 0,
    *,
    rule: str = "r1",
    host: str = "web01",
    user: str = "",
    level: str = "high",
    tags: tuple[str, ...] = (),
    matched: dict[str, Any] | None = None,
    event: dict[str, Any] | None = None,
    unit: str = "dept",
    source: str = "winlog",
    lane: int = 0,
) -> LiveFinding:
    record = {
        "rule_id": rule,
        "title": f"Rule {rule}",
        "level": level,
        "status": "stable",
        "tags": list(tags),
        "logsource": {"product": "windows", "category": "", "service": ""},
        "time": (MIDNIGHT + timedelta(seconds=at)).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "host": host,
        "user": user,
        "path": "spool",
        "record": number,
        "matched": [{"field": field, "value": value, "pattern": "*"} for field, value in (matched or {}).items()],
        "event": event or {},
        "events": [],
    }
    return LiveFinding(
        finding_id(rule, lane, 0, number), orjson.dumps(record), source, unit, moment(at + 1), moment(at + 2)
    )
