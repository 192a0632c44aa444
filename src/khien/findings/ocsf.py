"""Findings as OCSF Detection Finding objects (class 2004), one a line."""

from __future__ import annotations

from datetime import datetime
from typing import Any, BinaryIO

import msgspec

from khien import __version__
from khien.events.batch import Value
from khien.findings.attack import TACTICS, placed, tactics, technique_name
from khien.findings.attack import VERSION as ATTACK_VERSION
from khien.findings.finding import Finding, shown
from khien.findings.summary import HuntSummary

VERSION = "1.6.0"
"""The OCSF schema version that the objects follow."""
_SEVERITY = {"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
_MOST_OBSERVABLES = 50
_OBSERVABLES = {
    "commandline": (13, "Command Line"),
    "parentcommandline": (13, "Command Line"),
    "c-useragent": (16, "HTTP User-Agent"),
    "cs-user-agent": (16, "HTTP User-Agent"),
    "destinationip": (2, "IP Address"),
    "sourceip": (2, "IP Address"),
    "ipaddress": (2, "IP Address"),
    "destinationhostname": (1, "Hostname"),
    "queryname": (1, "Hostname"),
    "user": (4, "User Name"),
    "targetusername": (4, "User Name"),
    "subjectusername": (4, "User Name"),
}
"""Sigma fields that have an observable type of their own; all others are "Other"."""


def detection_finding(finding: Finding) -> dict[str, Any]:
    """One finding as an OCSF object. Times are in milliseconds since 1970; `time` is 0 when the event has none."""
    moment = _milliseconds(finding.time)
    first = min((each for each in map(_moment, finding.events) if each), default=moment)
    info: dict[str, Any] = {
        "uid": _uid(finding),
        "title": finding.title,
        "types": ["Sigma correlation" if finding.events else "Sigma rule"],
        "data_sources": [str(finding.logsource)],
        "analytic": {"type_id": 1, "type": "Rule", "uid": finding.rule_id, "name": finding.title},
        "attacks": _attacks(finding),
    }
    if moment:
        info |= {"created_time": moment, "first_seen_time": first, "last_seen_time": moment}
    if finding.events:
        info["related_events"] = [{"uid": _reference(each), "type": "Sigma match"} for each in finding.events]
        info["related_events_count"] = len(finding.events)
    evidence: dict[str, Any] = {"data": finding.event}
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
        "start_time": first,
        "end_time": moment,
        "message": finding.title,
        "is_alert": True,
        "metadata": {
            "version": VERSION,
            "product": {"name": "Khiên", "vendor_name": "Khiên", "version": __version__},
            "profiles": ["host"] if finding.host else [],
        },
        "finding_info": info,
        "evidences": [evidence],
        "observables": _observables(finding),
        "unmapped": {"path": finding.path, "record": finding.record, "sigma_status": finding.status},
    }
    if not moment:
        del out["start_time"], out["end_time"]
    if finding.host:
        out["device"] = {"hostname": finding.host, "type_id": 0, "type": "Unknown"}
        evidence["device"] = out["device"]
    if finding.user:
        evidence["actor"] = {"user": {"name": finding.user}}
    return out


def _uid(finding: Finding) -> str:
    """The same for the same finding, and no other's: a correlation may come true for two groups at one record."""
    uid = f"{finding.rule_id}:{finding.path}:{finding.record}"
    if not finding.events:
        return uid
    return f"{uid}:{':'.join(shown(value) for value in finding.event.values())}"


def _reference(event: dict[str, Value]) -> str:
    return f"{event.get('rule_id')}:{event.get('path')}:{event.get('record')}"


def _moment(event: dict[str, Value]) -> int:
    return _milliseconds(str(event.get("time") or ""))


def _milliseconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000) if time else 0


def _observables(finding: Finding) -> list[dict[str, Any]]:
    """What to pivot on; a name points into the object."""
    out = []
    if finding.host:
        out.append({"name": "device.hostname", "type_id": 1, "type": "Hostname", "value": finding.host})
    if finding.user:
        out.append({"name": "evidences.actor.user.name", "type_id": 4, "type": "User Name", "value": finding.user})
    for each in finding.matched[:_MOST_OBSERVABLES]:
        type_id, kind = _OBSERVABLES.get(each.field.lower(), (99, "Other"))
        name = f"evidences.data.{each.field}" if each.field else "evidences.data"
        out.append({"name": name, "type_id": type_id, "type": kind, "value": shown(each.value)})
    return out


def _attacks(finding: Finding) -> list[dict[str, Any]]:
    out = []
    seen = set()
    for technique, served in placed(finding.tags):
        for tactic in served or [""]:
            parent = technique.partition(".")[0]
            each: dict[str, Any] = {"version": ATTACK_VERSION, "technique": _named(parent)}
            if "." in technique:
                each["sub_technique"] = _named(technique)
            if tactic:
                each["tactic"] = _tactic(tactic)
                seen.add(tactic)
            out.append(each)
    alone = [tactic for tactic in tactics(finding.tags) if tactic not in seen]
    return out + [{"version": ATTACK_VERSION, "tactic": _tactic(tactic)} for tactic in alone]


def _named(technique: str) -> dict[str, str]:
    name = technique_name(technique)
    return {"uid": technique, "name": name} if name else {"uid": technique}


def _tactic(tactic: str) -> dict[str, str]:
    uid, title = TACTICS[tactic]
    return {"uid": uid, "name": title}


class OcsfWriter:
    """An object a line."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = msgspec.json.Decoder(Finding).decode

    def write_line(self, line: bytes) -> None:
        """Write a finding given as NDJSON."""
        self._stream.write(msgspec.json.encode(detection_finding(self._decode(line))) + b"\n")

    def close(self, summary: HuntSummary) -> None:
        """Nothing is left to write."""
