"""CSV that spreadsheets and parsers read alike, and that runs nothing."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from findings.made import correlation, finding, line, summary
from khien.findings.csv_rows import COLUMNS, CsvWriter, safe
from khien.findings.finding import Finding, Matched


def rows(*made: Finding) -> list[dict[str, str]]:
    stream = io.BytesIO()
    writer = CsvWriter(stream)
    for each in made:
        writer.write_line(line(each))
    writer.close(summary())
    text = stream.getvalue().decode()
    assert text.count("\r\n") >= len(made) + 1
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_a_row_has_the_finding_in_the_documented_columns() -> None:
    (row,) = rows(finding())
    assert tuple(row) == COLUMNS
    assert row == {
        "time": "2026-03-02T01:02:03.500000Z",
        "level": "high",
        "title": "Encoded command",
        "rule_id": "5f0c3c1e-0b1f-4c38-9a83-2f6d1b6f7d10",
        "host": "may-01.tinh.example",
        "user": "TINH\\nv.a01",
        "path": "/cases/1/log.json",
        "record": "7",
        "tags": "attack.execution attack.t1059.001",
        "matched": "CommandLine=powershell -enc QQ==",
        "event": '{"EventID":1,"CommandLine":"powershell -enc QQ==","User":"TINH\\\\nv.a01"}',
        "status": "test",
        "logsource": "windows/process_creation/*",
        "events": "",
    }


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1", '=HYPERLINK("http://x.example","y")'],
)
def test_a_cell_that_begins_like_a_formula_gets_an_apostrophe(text: str) -> None:
    assert safe(text) == f"'{text}"
    (row,) = rows(finding(title=text, host=text, user=text, path=text, tags=[text], matched=[Matched(text, "1", "1")]))
    for name in ("title", "host", "user", "path", "tags", "matched"):
        assert row[name].startswith("'"), name


@pytest.mark.parametrize("text", ["", "a=1", "C:\\x -y", "'=1", "máy chủ"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


def test_quotes_commas_and_newlines_come_back_as_they_were() -> None:
    text = 'a "b", c\r\nd\n\ne;f\x00'
    (row,) = rows(finding(title=text))
    assert row["title"] == text


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "null"), (5, "5"), (True, "true"), (["a", 1], '["a",1]'), ({"k": "đ"}, '{"k":"đ"}')]
)
def test_values_that_are_no_text_are_written_as_json(value: Any, shown: str) -> None:
    (row,) = rows(finding(matched=[Matched("F", value, "x"), Matched("", "w", "w")]))
    assert row["matched"] == f"F={shown}; keyword=w"


def test_a_correlation_has_its_matches() -> None:
    (row,) = rows(correlation())
    assert row["matched"] == ""
    assert '"record":9' in row["events"]


def test_no_findings_leave_the_header() -> None:
    assert rows() == []
