"""Writers by name, and NDJSON."""

from __future__ import annotations

import io
import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from findings.made import correlation, finding, line, summary
from khien.findings import outputs
from khien.findings.finding import Finding, Matched
from khien.rules.model import RuleSet

FIELDS = [
    *("rule_id", "title", "level", "status", "tags", "logsource", "time", "host", "user", "path", "record"),
    *("matched", "event", "events"),
]


def written(name: str, *made: Finding) -> bytes:
    stream = io.BytesIO()
    writer = outputs.writer(name, stream, ZoneInfo("UTC"), RuleSet(()))
    for each in made:
        writer.write_line(line(each))
    writer.close(summary(findings=len(made)))
    return stream.getvalue()


@pytest.mark.parametrize("name", outputs.NAMES)
def test_every_form_is_written_with_and_without_findings(name: str) -> None:
    full = written(name, finding(), correlation())
    assert full != written(name)
    full.decode("utf-8")


def test_ndjson_has_one_finding_a_line_with_the_documented_fields() -> None:
    text = finding(title='dòng\nmới \u2028 "x"')
    lines = written("ndjson", text, correlation()).splitlines(keepends=True)
    assert len(lines) == 2
    assert all(each.endswith(b"\n") for each in lines)
    first, second = map(json.loads, lines)
    assert list(first) == FIELDS
    assert first["title"] == text.title
    assert first["logsource"] == {"product": "windows", "category": "process_creation", "service": ""}
    assert second["events"][0]["rule_id"] == "base"


def test_ndjson_is_the_line_as_it_came() -> None:
    assert written("ndjson", finding()) == line(finding())


@pytest.mark.parametrize("name", outputs.NAMES)
def test_an_event_nested_as_deep_as_a_finding_can_carry_is_written(name: str) -> None:
    deep: Any = "x"
    for _ in range(250):
        deep = {"k": deep}
    assert written(name, finding(event={"Deep": deep}, matched=[Matched("Deep", deep, "x")]))
