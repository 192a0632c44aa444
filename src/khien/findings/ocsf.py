"""Findings as OCSF Detection Finding objects (class 2004), one a line."""

from __future__ import annotations

from datetime import datetime
from typing import Any, BinaryIO

import msgspec
import orjson

from khien import __version__
from khien.findings.attack import TACTICS, tactics, techniques
from khien.findings.finding import Finding
from khien.findings.summary import HuntSummary

VERSION = "1.6.0"
"""The OCSF schema version that the objects follow."""
_SEVERITY = {"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
_MOST_OBSERVABLES = 50


def detection_finding(finding: Finding) -> dict[str, Any]:
    """One finding as an OCSF object. `time` is in milliseconds since 1970, 0 when the event has none."""
    moment = _milliseconds(finding.time)
    out: dict[str, Any] = {
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": 1,
        "activity_name": "Create",
        "type_uid": 200401,
        "type_name": "Detection Finding: Create",
        "severity_id": _SEVERITY[finding.level],
        "severity": finding.level.capitalize(),
        "status_id": 1,
        "status": "New",
        "time": moment,
        "message": finding.title,
        "metadata": {
            "version": VERSION,
            "product": {"name": "Khiên", "vendor_name": "Khiên", "version": __version__},
            "profiles": ["host"] if finding.host else [],
        },
        "finding_info": {
            "uid": f"{finding.rule_id}:{finding.path}:{finding.record}",
            "title": finding.title,
            "created_time": moment,
            "types": [f"sigma/{finding.logsource}"],
            "analytic": {"type_id": 1, "type": "Rule", "uid": finding.rule_id, "name": finding.title},
            "attacks": _attacks(finding),
        },
        "evidences": [{"data": finding.event}],
        "observables": [
            {"name": each.field or "keyword", "type_id": 0, "type": "Unknown", "value": str(each.value)}
            for each in finding.matched[:_MOST_OBSERVABLES]
        ],
        "unmapped": {"path": finding.path, "record": finding.record, "sigma_status": finding.status},
    }
    if finding.host:
        out["device"] = {"hostname": finding.host, "type_id": 0, "type": "Unknown"}
    if finding.user:
        out["evidences"][0]["actor"] = {"user": {"name": finding.user}}
    return out


def _milliseconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000) if time else 0


def _attacks(finding: Finding) -> list[dict[str, Any]]:
    named = tactics(finding.tags)
    tactic = {"uid": TACTICS[named[0]][0], "name": TACTICS[named[0]][1]} if named else None
    out = []
    for technique in techniques(finding.tags):
        each: dict[str, Any] = {"version": "18.1", "technique": {"uid": technique.partition(".")[0]}}
        if "." in technique:
            each["sub_technique"] = {"uid": technique}
        if tactic:
            each["tactic"] = tactic
        out.append(each)
    return out or ([{"version": "18.1", "tactic": tactic}] if tactic else [])


class OcsfWriter:
    """An object a line."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = msgspec.json.Decoder(Finding).decode

    def write_line(self, line: bytes) -> None:
        """Write a finding given as NDJSON."""
        self._stream.write(orjson.dumps(detection_finding(self._decode(line))) + b"\n")

    def close(self, summary: HuntSummary) -> None:
        """Nothing is left to write."""
