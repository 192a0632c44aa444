"""The times that logs write."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.events.batch import MISSING, EventKind
from khien.events.timestamps import event_time, format_time, parse_time

MOMENT = "2026-03-02T01:02:03.500000Z"


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-02T01:02:03.5Z",
        "2026-03-02T01:02:03.500000000Z",
        "2026-03-02 01:02:03.500",
        "2026-03-02 01:02:03,500",
        "2026/03/02 01:02:03.500",
        "2026-03-02T08:02:03.5+07:00",
        "2026-03-02T08:02:03.5+0700",
        "2026-03-01 20:02:03.5 -05:00",
        "2026-03-02 01:02:03.500 UTC",
        " 2026-03-02T01:02:03.5Z ",
        "1772413323.5",
        1772413323.5,
        1772413323500,
        "1772413323500",
        1772413323500000,
        "1772413323500000000",
        "Mar  2 2026 01:02:03.5",
        "Mon Mar  2 01:02:03.500000 2026",
        "3/2/2026 1:02:03.5 AM",
        "/Date(1772413323500)/",
        ["2026-03-02T01:02:03.5Z"],
    ],
)
def test_every_way_to_write_a_moment_gives_that_moment(written: object) -> None:
    moment = parse_time(written)
    assert moment is not None
    assert format_time(moment) == MOMENT


@pytest.mark.parametrize("written", ["[02/Mar/2026:08:02:03 +0700]", "02/Mar/2026:01:02:03 +0000"])
def test_web_server_times_keep_their_zone(written: str) -> None:
    assert format_time(parse_time(written) or 0) == "2026-03-02T01:02:03.000000Z"


@pytest.mark.parametrize(
    "written",
    [None, MISSING, True, "", " ", "-", "yesterday", "2026-13-02T01:02:03Z", "2026-02-30 01:02:03", "12", 12, -1.0,
     float("nan"), float("inf"), 1e30, [], {}, "Foo  2 01:02:03", "x" * 10_000, "13/2/2026 13:00:00 PM", "9" * 19 + "9"],
)  # fmt: skip
def test_what_is_no_time_is_none(written: object) -> None:
    assert parse_time(written) is None


def test_a_syslog_time_takes_the_year_it_is_given() -> None:
    assert format_time(parse_time("Feb 29 23:59:59", year=2024) or 0) == "2024-02-29T23:59:59.000000Z"


def test_a_syslog_time_without_year_never_lies_ahead_of_tomorrow() -> None:
    for month in ("Jan", "Jun", "Dec"):
        moment = parse_time(f"{month} 15 12:00:00")
        assert moment is not None
        age = datetime.now(UTC).timestamp() - moment / 1e6
        assert -86_400 < age < 367 * 86_400


def test_a_leap_second_is_the_second_before() -> None:
    assert format_time(parse_time("2016-12-31T23:59:60Z") or 0) == "2017-01-01T00:00:00.000000Z"


def test_the_first_time_field_that_holds_a_time_counts() -> None:
    kind = EventKind("any", (), time=("broken", "System.TimeCreated", "later"))
    event = {"broken": "soon", "System": {"TimeCreated": "2026-03-02T01:02:03.5Z"}, "later": 1}
    assert format_time(event_time(kind, event) or 0) == MOMENT


def test_moments_outside_the_calendar_are_shown_as_nothing() -> None:
    assert format_time(10**20) == ""


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)))
def test_what_is_formatted_reads_back_as_the_same_moment(when: datetime) -> None:
    moment = int(when.replace(tzinfo=UTC, microsecond=0).timestamp()) * 1_000_000 + when.microsecond
    assert parse_time(format_time(moment)) == moment


@given(st.one_of(st.text(max_size=80), st.integers(), st.floats(), st.lists(st.text(), max_size=2)))
def test_no_value_makes_it_raise(value: object) -> None:
    moment = parse_time(value)
    assert moment is None or isinstance(format_time(moment), str)
