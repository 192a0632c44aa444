"""Parcels as batches of events, in whatever format they are."""

from __future__ import annotations

import json

import pytest

from flow.live_service import whoami
from khien.collect.spool import Parcel
from khien.flow.parcels import format_of, is_json_lines

SYSLOG = b"<38>1 2026-11-24T09:00:00Z web-01 sshd 811 - - Failed password for root from 203.0.113.9 port 50122 ssh2\n"


def parcel(data: bytes, format: str = "") -> Parcel:
    return Parcel("agents", format, 1_800_000_000_000_000, data, data.count(b"\n"))


@pytest.mark.parametrize(
    ("data", "format", "name", "lines"),
    [
        (whoami("a") + b"\n", "json", "json", True),
        (whoami("a") + b"\n", "", "json", True),
        (json.dumps([json.loads(whoami("a"))], indent=1).encode() + b"\n", "", "json", False),
        (SYSLOG, "syslog", "syslog", False),
        (SYSLOG, "", "syslog", False),
        (b"{broken\n", "json", "json", True),
    ],
)
def test_the_format_is_what_the_source_says_or_the_content_tells(
    data: bytes, format: str, name: str, lines: bool
) -> None:
    found = format_of(parcel(data, format))
    assert found is not None
    assert found.name == name
    assert is_json_lines(parcel(data, format), found) is lines


def test_a_format_that_does_not_exist_is_none() -> None:
    assert format_of(parcel(b"one\n", "nonsense")) is None
