"""The finding record: its fields, their order and types, and that they stay."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from hunt.hunting import correlation, event, hunt, load, rule, write
from khien.events.batch import EventKind
from khien.findings.finding import Finding
from khien.hunt.assembly import Period, dump, pattern_text, read_field
from khien.rules.model import Cidr, Compare, Exists, FieldRef, Keyword, KeywordRegex, Null, Regex, Text

FIELDS = [
    "rule_id", "title", "level", "status", "tags", "logsource", "time", "host", "user", "path", "record", "matched", "event",
]  # fmt: skip


def test_a_finding_has_the_documented_fields_in_their_order(tmp_path: Path) -> None:
    log = write(tmp_path / "log.json", event("x"), event("some alpha", 5))
    lines, _ = hunt(load(rule("alpha", tags=["attack.T1059.001"])), log)
    (raw,) = lines.raw
    assert raw.endswith(b"}\n")
    finding = orjson.loads(raw)
    assert list(finding) == FIELDS
    assert finding == {
        "rule_id": "id-alpha",
        "title": "Rule alpha",
        "level": "high",
        "status": "test",
        "tags": ["attack.t1059.001"],
        "logsource": {"product": "windows", "category": "process_creation", "service": ""},
        "time": "2026-03-02T01:00:05.000000Z",
        "host": "SYT-PC-041.so-y-te.example",
        "user": "SYT\\nv.a01",
        "path": str(log),
        "record": 2,
        "matched": [{"field": "CommandLine", "value": "some alpha", "pattern": "*alpha*"}],
        "event": event("some alpha", 5),
    }


def test_a_correlation_has_the_same_fields_and_its_events(tmp_path: Path) -> None:
    body = {"type": "event_count", "rules": ["alpha"], "group-by": ["User"], "timespan": "5m", "condition": {"gte": 2}}
    log = write(tmp_path / "log.json", event("alpha", 0), event("alpha", 5))
    lines, _ = hunt(load(rule("alpha"), correlation("burst", body, tags=["attack.t1110"])), log)
    (finding,) = lines.findings
    assert list(finding) == [*FIELDS, "events"]
    assert finding == {
        "rule_id": "id-burst",
        "title": "Correlation burst",
        "level": "high",
        "status": "",
        "tags": ["attack.t1110"],
        "logsource": {"product": "", "category": "", "service": ""},
        "time": "2026-03-02T01:00:05.000000Z",
        "host": "",
        "user": "SYT\\nv.a01",
        "path": str(log),
        "record": 2,
        "matched": [],
        "event": {"User": "SYT\\nv.a01", "count": 2},
        "events": [
            {"path": str(log), "record": 1, "rule_id": "id-alpha", "time": "2026-03-02T01:00:00.000000Z"},
            {"path": str(log), "record": 2, "rule_id": "id-alpha", "time": "2026-03-02T01:00:05.000000Z"},
        ],
    }


def test_the_manual_names_every_field() -> None:
    manual = (Path(__file__).resolve().parents[2] / "docs" / "output.md").read_text(encoding="utf-8")
    manual = manual.split("## NDJSON")[1].split("\n## ")[0]
    documented = {
        name
        for line in manual.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert documented == {*FIELDS, "events"}
    assert set(Finding.__struct_fields__) == documented


def test_a_finding_without_time_host_or_user_has_empty_texts(tmp_path: Path) -> None:
    bare = {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "CommandLine": "alpha", "TimeCreated": "?"}
    lines, _ = hunt(load(rule("alpha")), write(tmp_path / "log.json", bare))
    (finding,) = lines.findings
    assert (finding["time"], finding["host"], finding["user"]) == ("", "", "")


@pytest.mark.parametrize(
    ("detection", "value", "matched"),
    [
        ({"s": {"CommandLine|re|i": "AL.HA"}, "condition": "s"}, "alpha", [("CommandLine", "alpha", "/AL.HA/i")]),
        ({"s": {"Size|gt": 5}, "condition": "s"}, "alpha", [("Size", 7, "gt 5")]),
        ({"s": {"None": None}, "condition": "s"}, "alpha", [("None", None, "null")]),
        ({"s": {"User|fieldref": "Other"}, "condition": "s"}, "alpha", [("User", "SYT\\nv.a01", "equals field Other")]),
        ({"k": ["alp?a"], "condition": "k"}, "an alpha", [("", None, "alp?a")]),
        ({"a": {"CommandLine": "alpha"}, "b": {"Size": 9}, "condition": "a or b"}, "alpha", [("CommandLine", "alpha", "alpha")]),
    ],
)  # fmt: skip
def test_matched_says_what_made_the_condition_true(
    tmp_path: Path, detection: dict[str, Any], value: str, matched: list[tuple[str, Any, str]]
) -> None:
    log = write(tmp_path / "log.json", event(value, Size=7, Other="syt\\NV.A01"))
    lines, _ = hunt(load(rule("alpha", detection)), log)
    found = lines.findings[0]["matched"]
    assert [(each["field"], each["pattern"]) for each in found] == [(field, pattern) for field, _, pattern in matched]
    for each, (_, expected, _) in zip(found, matched, strict=True):
        if each["field"]:
            assert each["value"] == expected
        else:
            assert "an alpha" in each["value"]


def test_patterns_are_written_as_in_a_rule() -> None:
    assert pattern_text(Text("a", (0, "x*y", 1, 2))) == r"*x\*y?-"
    assert pattern_text(Keyword(("a", 0, "b"))) == "a*b"
    assert pattern_text(Regex("a", "x", "im")) == "/x/im"
    assert pattern_text(KeywordRegex("x")) == "/x/"
    assert pattern_text(Cidr("a", "10.0.0.0/8")) == "10.0.0.0/8"
    assert pattern_text(Compare("a", (("gt", 1), ("lte", 5)), "hour")) == "hour gt 1 hour lte 5"
    assert pattern_text(Null("a")) == "null"
    assert pattern_text(Exists("a")) == "exists"
    assert pattern_text(FieldRef("a", "b", "contains")) == "contains field b"


@pytest.mark.parametrize(
    "value",
    ["plain", "\ud800 alone", 2**70, -(2**70), math.nan, math.inf, {"\udfff": [2**65, None, True]}, {1: "x"}, b"bytes"],
)
def test_anything_an_event_holds_becomes_json(value: Any) -> None:
    orjson.loads(dump({"value": value}))


def test_a_period_is_open_where_it_says_nothing() -> None:
    assert Period().holds(None)
    assert not Period(since=5).holds(None)
    assert [moment for moment in range(10) if Period(3, 5).holds(moment)] == [3, 4, 5]


def test_a_field_is_read_by_the_first_of_its_names_that_is_there() -> None:
    kind = EventKind("k", (), aliases={"Image": ("NewProcessName", "proc.path")})
    assert read_field({"proc": {"path": "b"}}, kind, "Image") == "b"
    assert read_field({"NewProcessName": None, "proc": {"path": "b"}}, kind, "Image") is None
    assert read_field({"Image": "c"}, kind, "Other").__class__.__name__ == "Missing"
