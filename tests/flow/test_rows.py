"""Parcels as rows of the lake: common columns, times that make sense, and every event kept whatever it is."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.collect.spool import Parcel
from khien.events.mapping import Classifier
from khien.flow.rows import RowMaker

RECEIVED = int(datetime(2026, 11, 24, 10, tzinfo=UTC).timestamp() * 1e6)
MAKER = RowMaker(Classifier.load())


def rows(*events: Any, format: str = "json") -> list[dict[str, Any]]:
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in events]
    parcel = Parcel("agents", format, RECEIVED, b"".join(line + b"\n" for line in lines), len(lines))
    table = MAKER.table(3, 7, parcel, "Sample unit")
    table.validate(full=True)
    return sorted(table.to_pylist(), key=lambda row: int(row["spool"].rsplit(":", 1)[1]))


def sysmon(**more: Any) -> dict[str, Any]:
    event = {
        "EventID": 1,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Computer": "PC-01",
        "TimeCreated": "2026-11-24T09:59:58Z",
        "Image": "C:\\Windows\\System32\\whoami.exe",
        "CommandLine": "whoami /all",
        "User": "EXAMPLE\\user01",
    }
    return {**event, **more}


def test_a_windows_event_gets_its_common_columns() -> None:
    (row,) = rows(sysmon())
    assert (row["host"], row["user"], row["command_line"]) == ("PC-01", "EXAMPLE\\user01", "whoami /all")
    assert (row["logsource"], row["event_id"], row["source"], row["unit"]) == (
        "windows-sysmon",
        "1",
        "agents",
        "Sample unit",
    )
    assert row["time"] == datetime(2026, 11, 24, 9, 59, 58, tzinfo=UTC)
    assert row["received"] == datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert row["day"] == date(2026, 11, 24)
    assert row["spool"] == "3:7:1"
    assert json.loads(row["event"])["Image"].endswith("whoami.exe")


def test_a_line_of_syslog_keeps_its_text() -> None:
    line = b"<38>1 2026-11-24T09:00:00Z web-01 sshd 811 - - Failed password for root from 203.0.113.9 port 50122 ssh2"
    (row,) = rows(line, format="syslog")
    assert (row["host"], row["raw"]) == ("web-01", line.decode())
    assert row["time"] == datetime(2026, 11, 24, 9, tzinfo=UTC)


def test_a_time_within_an_object_is_the_events_own() -> None:
    properties = {"ActionType": "ProcessCreated", "DeviceName": "pc-01", "Timestamp": "2026-11-24T09:00:00Z"}
    (row,) = rows(json.dumps([{"category": "AdvancedHunting-DeviceProcessEvents", "properties": properties}]).encode())
    assert row["time"] == datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2019-01-01T00:00:00Z",
        "2055-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "2026-13-45T99:99:99Z",
        10**30,
        -(10**18),
        1.7e308,
        None,
        True,
        [],
        "",
        "2026-11-24T09:00:00." + "9" * 5_000 + "Z!",
    ],
)
def test_a_clock_that_must_be_wrong_gives_the_time_of_arrival_and_the_event_keeps_what_it_says(written: Any) -> None:
    (row,) = rows(sysmon(TimeCreated=written))
    assert row["time"] == row["received"]
    assert row["day"] == date(2026, 11, 24)
    assert json.loads(row["event"])["TimeCreated"] == pytest.approx(written)


def test_hostile_times_and_names_do_not_scatter_the_partitions() -> None:
    events = [
        sysmon(TimeCreated=f"{1000 + year}-01-01T00:00:00Z", Channel=f"../../{year}=/%2f", logsource=f"x{year}")
        for year in range(900)
    ]
    made = rows(*events)
    assert len(made) == 900
    assert {row["day"] for row in made} <= {date(2026, 1, 1), date(2026, 11, 24)}
    assert all("/" not in row["logsource"] and len(row["logsource"]) < 40 for row in made)
    assert len({row["logsource"] for row in made}) <= 2


def test_the_skew_of_a_parcel_is_the_median_of_its_events() -> None:
    rows(*[sysmon(TimeCreated="2026-11-24T09:50:00Z")] * 5, sysmon(TimeCreated="2019-01-01T00:00:00Z"))
    assert MAKER.skew == pytest.approx(600)
    rows({"message": "no time at all"})
    assert MAKER.skew is None


@pytest.mark.parametrize("line", [b"{", b"[1, 2, 3]", b"12", b"null", b"no JSON", b'{"a": 1} x', b"\xff\xfe", b"[]"])
def test_what_is_no_event_is_kept_as_it_came_with_the_reason(line: bytes) -> None:
    before, broken, after = rows(sysmon(), line, sysmon())
    assert broken["logsource"] == "unparsed"
    assert broken["raw"] == line.decode("utf-8", "replace")
    assert broken["reason"]
    assert before["host"] == after["host"] == "PC-01"


def test_a_parcel_in_an_unknown_format_is_kept_line_by_line() -> None:
    made = rows(b"one", b"two", format="nonsense")
    assert [(row["raw"], row["logsource"]) for row in made] == [("one", "unparsed"), ("two", "unparsed")]


@pytest.mark.parametrize(
    "more",
    [
        {"CommandLine": "half \ud800 a character", "User": "\udfff", "Computer": "\ud800"},
        {"winlog": {"event_data": {"CommandLine": "\ud800"}}},
        {"half \ud800": 1},
        {"CommandLine": "\0", "Computer": "\0"},
        {"X": 10**400},
        {"X": float("nan"), "Y": float("inf")},
        {"CommandLine": ["a", {"b": [None]}], "User": {"x": 1}},
        {"EventID": 10**25},
        {"EventID": {"#text": 1}},
        {"Channel": ["a"]},
        {"EventData": [1, 2]},
        {"": 1},
        {"CommandLine": "A" * 500_000},
    ],
)
def test_strange_values_cost_no_event(more: dict[str, Any]) -> None:
    assert len(rows(sysmon(), sysmon(**more), sysmon())) == 3


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(sysmon())) | st.text(max_size=8), _VALUES, max_size=6))
def test_every_object_gives_exactly_one_row(event: dict[str, Any]) -> None:
    assert len(rows(sysmon(), {**sysmon(), **event})) == 2


@given(st.binary(max_size=200), st.sampled_from(["json", "", "syslog", "cef", "keyvalue", "weblog", "text", "xml"]))
def test_no_bytes_make_it_raise(data: bytes, format: str) -> None:
    MAKER.table(0, 1, Parcel("agents", format, RECEIVED, data + b"\n", 1), "").validate(full=True)
