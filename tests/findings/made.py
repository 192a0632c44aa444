"""Findings made for tests."""

from __future__ import annotations

from typing import Any

import msgspec

from khien.events.logsource import LogSource
from khien.findings.finding import Finding, Matched
from khien.findings.summary import HuntSummary


def finding(**changes: Any) -> Finding:
    """A finding in which every field says something; `changes` replace fields."""
    fields: dict[str, Any] = {
        "rule_id": "5f0c3c1e-0b1f-4c38-9a83-2f6d1b6f7d10",
        "title": "Encoded command",
        "level": "high",
        "status": "test",
        "tags": ["attack.execution", "attack.t1059.001"],
        "logsource": LogSource("windows", "process_creation"),
        "time": "2026-03-02T01:02:03.500000Z",
        "host": "may-01.tinh.example",
        "user": "TINH\\nv.a01",
        "path": "/cases/1/log.json",
        "record": 7,
        "matched": [Matched("CommandLine", "powershell -enc QQ==", "* -enc *")],
        "event": {"EventID": 1, "CommandLine": "powershell -enc QQ==", "User": "TINH\\nv.a01"},
    }
    return Finding(**(fields | changes))


def correlation(**changes: Any) -> Finding:
    """A correlation's finding, made of two matches."""
    members = [
        {"path": "/cases/1/auth.log", "record": 3, "rule_id": "base", "time": "2026-03-02T00:59:00.000000Z"},
        {"path": "/cases/1/auth.log", "record": 9, "rule_id": "base", "time": "2026-03-02T01:02:03.500000Z"},
    ]
    fields: dict[str, Any] = {
        "rule_id": "c0ffee00-0000-4000-8000-000000000001",
        "title": "Password spraying",
        "tags": ["attack.credential-access", "attack.t1110.003"],
        "logsource": LogSource(),
        "host": "",
        "user": "",
        "path": "/cases/1/auth.log",
        "record": 9,
        "matched": [],
        "event": {"IpAddress": "203.0.113.9", "distinct": 14},
        "events": members,
    }
    return finding(**(fields | changes))


def line(made: Finding) -> bytes:
    """A finding as the hunt hands it to writers."""
    return msgspec.json.encode(made) + b"\n"


def summary(**changes: Any) -> HuntSummary:
    """Closing figures."""
    fields: dict[str, Any] = {
        "files": 2,
        "size": 1_500_000,
        "events": 4_000,
        "findings": 1,
        "seconds": 2.0,
        "rules": 60,
        "correlations": 8,
        "unusable": 0,
    }
    return HuntSummary(**(fields | changes))
