"""OCSF 1.6 Detection Finding objects, checked against the attributes, requirements and enums of the class."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from findings.made import correlation, finding, line, summary
from khien.findings.finding import LEVELS, Matched
from khien.findings.ocsf import OcsfWriter, detection_finding

# From the OCSF schema, version 1.6: attribute to (type, required). Only what the class and its host profile allow.
_CLASS: dict[str, tuple[type, bool]] = {
    "activity_id": (int, True),
    "activity_name": (str, False),
    "category_uid": (int, True),
    "category_name": (str, False),
    "class_uid": (int, True),
    "class_name": (str, False),
    "device": (dict, False),
    "end_time": (int, False),
    "evidences": (list, False),
    "finding_info": (dict, True),
    "is_alert": (bool, False),
    "message": (str, False),
    "metadata": (dict, True),
    "observables": (list, False),
    "severity": (str, False),
    "severity_id": (int, True),
    "start_time": (int, False),
    "status": (str, False),
    "status_id": (int, False),
    "time": (int, True),
    "type_name": (str, False),
    "type_uid": (int, True),
    "unmapped": (dict, False),
}
_FINDING_INFO: dict[str, tuple[type, bool]] = {
    "analytic": (dict, False),
    "attacks": (list, False),
    "created_time": (int, False),
    "data_sources": (list, False),
    "first_seen_time": (int, False),
    "last_seen_time": (int, False),
    "related_events": (list, False),
    "related_events_count": (int, False),
    "title": (str, False),
    "types": (list, False),
    "uid": (str, True),
}
_ENUMS = {
    "activity_id": {1: "Create", 2: "Update", 3: "Close"},
    "severity_id": {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical", 6: "Fatal"},
    "status_id": {1: "New", 2: "In Progress", 3: "Suppressed", 4: "Resolved"},
}
_OBSERVABLE_TYPES = {
    1: "Hostname",
    2: "IP Address",
    4: "User Name",
    13: "Command Line",
    16: "HTTP User-Agent",
    99: "Other",
}


def conforms(out: dict[str, Any]) -> None:
    shaped(out, _CLASS)
    assert out["class_uid"] == 2004
    assert out["category_uid"] == 2
    assert out["type_uid"] == out["class_uid"] * 100 + out["activity_id"]
    for name, known in _ENUMS.items():
        caption = {"activity_id": "activity_name", "severity_id": "severity", "status_id": "status"}[name]
        assert out[caption] == known[out[name]]
    metadata = out["metadata"]
    assert metadata["version"] == "1.6.0"
    assert {"name", "vendor_name", "version"} <= set(metadata["product"])
    assert ("device" in out) == ("host" in metadata["profiles"])
    info = out["finding_info"]
    shaped(info, _FINDING_INFO)
    assert info["analytic"]["type_id"] == 1
    assert info["analytic"]["uid"]
    for attack in info["attacks"]:
        assert set(attack) <= {"version", "tactic", "technique", "sub_technique"}
        assert {"tactic", "technique", "sub_technique"} & set(attack)
        assert all(part["uid"] for name, part in attack.items() if name != "version")
    for evidence in out["evidences"]:
        assert {"actor", "data", "device"} & set(evidence)
        assert set(evidence) <= {"actor", "data", "device"}
    for each in out["observables"]:
        assert _OBSERVABLE_TYPES[each["type_id"]] == each["type"]
        assert each["name"]
        assert isinstance(each["value"], str)
    if "device" in out:
        assert out["device"]["type_id"] == 0
    for each in info.get("related_events", ()):
        assert each["uid"]


def shaped(out: dict[str, Any], attributes: dict[str, tuple[type, bool]]) -> None:
    for name, value in out.items():
        assert type(value) is attributes[name][0], name
    assert {name for name, (_, required) in attributes.items() if required} <= set(out)


@pytest.mark.parametrize("level", LEVELS)
def test_a_finding_of_every_level_conforms(level: str) -> None:
    conforms(detection_finding(finding(level=level)))


@pytest.mark.parametrize(
    "changes",
    [
        {"time": ""},
        {"host": "", "user": ""},
        {"tags": []},
        {"tags": ["attack.impact"]},
        {"tags": ["attack.t9999"]},
        {"event": {}, "matched": []},
        {"matched": [Matched("", "word", "word"), Matched("A", None, "null"), Matched("B", {"c": [1]}, "x")]},
    ],
)
def test_a_finding_that_lacks_something_conforms(changes: dict[str, Any]) -> None:
    conforms(detection_finding(finding(**changes)))


def test_times_are_milliseconds() -> None:
    out = detection_finding(finding())
    assert out["time"] == out["start_time"] == out["end_time"] == 1_772_413_323_500
    untimed = detection_finding(finding(time=""))
    assert untimed["time"] == 0
    assert "start_time" not in untimed


def test_a_correlation_refers_to_its_matches_and_spans_them() -> None:
    out = detection_finding(correlation())
    conforms(out)
    assert out["end_time"] - out["start_time"] == 183_500
    assert out["finding_info"]["related_events_count"] == 2
    assert out["finding_info"]["related_events"][0]["uid"] == "base:/cases/1/auth.log:3"


def test_two_findings_never_share_an_identifier() -> None:
    made = [
        finding(),
        finding(record=8),
        finding(path="/cases/2/log.json"),
        finding(rule_id="other"),
        correlation(),
        correlation(event={"IpAddress": "203.0.113.10", "distinct": 14}),
    ]
    uids = [detection_finding(each)["finding_info"]["uid"] for each in made]
    assert len(set(uids)) == len(made)
    assert uids == [detection_finding(each)["finding_info"]["uid"] for each in made]


def test_attacks_name_tactic_technique_and_sub_technique() -> None:
    tags = ["attack.execution", "attack.t1059.001", "attack.discovery"]
    assert detection_finding(finding(tags=tags))["finding_info"]["attacks"] == [
        {
            "version": "19",
            "technique": {"uid": "T1059", "name": "Command and Scripting Interpreter"},
            "sub_technique": {"uid": "T1059.001", "name": "PowerShell"},
            "tactic": {"uid": "TA0002", "name": "Execution"},
        },
        {"version": "19", "tactic": {"uid": "TA0007", "name": "Discovery"}},
    ]


def test_the_event_host_and_user_are_evidence() -> None:
    out = detection_finding(finding())
    (evidence,) = out["evidences"]
    assert evidence["data"] == finding().event
    assert evidence["actor"]["user"]["name"] == "TINH\\nv.a01"
    assert evidence["device"]["hostname"] == out["device"]["hostname"] == "may-01.tinh.example"


def test_the_writer_writes_an_object_a_line() -> None:
    stream = io.BytesIO()
    writer = OcsfWriter(stream)
    for each in (finding(title="đ\n"), correlation()):
        writer.write_line(line(each))
    writer.close(summary())
    for text in stream.getvalue().splitlines():
        conforms(json.loads(text))
    assert stream.getvalue().count(b"\n") == 2
