"""CSV with a header line."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.reading import blocks, read, read_one
from khien.events.batch import MISSING


def written(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_delimiter_is_told_by_the_header(delimiter: str, end: str, mark: str) -> None:
    text = (
        mark
        + delimiter.join(("product_x", "src_ip", "dst_port"))
        + end
        + delimiter.join(("a", "192.0.2.7", "22"))
        + end
    )
    seen = read_one(text)
    assert [seen[name] for name in ("product_x", "src_ip", "dst_port")] == ["a", "192.0.2.7", "22"]
    assert "*/firewall/*" in seen.sources


def test_quoted_cells_may_hold_delimiters_quotes_and_line_breaks() -> None:
    first, second = read('a,b,c\n"x, y","say ""hi""","two\nlines"\n1,2,3\n')
    assert [first[name] for name in "abc"] == ["x, y", 'say "hi"', "two\nlines"]
    assert (second.number, second["c"]) == (2, "3")


def test_empty_cells_are_missing_and_unnamed_columns_get_a_name() -> None:
    seen = read_one("a,,a,b\n1,2,3,\n")
    assert [seen[name] for name in ("a", "column2", "a_2", "b")] == ["1", "2", "3", MISSING]


def test_rows_of_another_width_are_read_as_far_as_they_go_and_counted() -> None:
    found, problems = blocks("csv", "a,b,c\n1,2,3\n1,2\n1,2,3,4\n")
    assert [record for block in found for record in block.records] == [
        {"a": "1", "b": "2", "c": "3"},
        {"a": "1", "b": "2"},
        {"a": "1", "b": "2", "c": "3"},
    ]
    assert [(problem.place, problem.count) for problem in problems] == [("row 2", 2)]


def test_a_windows_event_exported_to_csv_is_one() -> None:
    row = {"EventID": 4688, "Channel": "Security", "NewProcessName": "C:\\a.exe", "TimeCreated": "2026-03-02T01:02:03Z"}
    seen = read_one(written([row]))
    assert seen["Image"] == "C:\\a.exe"
    assert "windows/process_creation/*" in seen.sources


def test_evtxecmds_payload_column_is_opened() -> None:
    payload = json.dumps({"EventData": {"Data": [{"@Name": "ServiceName", "#text": "evil"}]}})
    seen = read_one(
        written([{"RecordNumber": 1, "EventId": 7045, "Provider": "Service Control Manager", "Channel": "System",
                  "Computer": "h", "TimeCreated": "2026-03-02 01:02:03.5000000", "Payload": payload}])
    )  # fmt: skip
    assert (seen["ServiceName"], seen["EventID"], seen["Provider_Name"]) == ("evil", 7045, "Service Control Manager")
    assert "windows/*/system" in seen.sources
    assert seen.time == "2026-03-02T01:02:03.500000Z"


def test_the_audit_search_of_microsoft_365_is_opened() -> None:
    data = json.dumps({"Operation": "New-InboxRule", "Workload": "Exchange", "CreationTime": "2026-03-02T01:02:03"})
    seen = read_one(written([{"RecordId": "x", "CreationDate": "y", "Operation": "New-InboxRule", "AuditData": data}]))
    assert "m365/*/audit" in seen.sources


@pytest.mark.parametrize("data", ["", "a,b", "a,b\n", "\n\n", '"', 'a,b\n"', "a,b\n\x00,\x00\n"])
def test_files_with_little_in_them_do_not_raise(data: str) -> None:
    blocks("csv", data)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    blocks("csv", data)
    blocks("csv", b'a,b\n"' + data)
