"""Logs that are just lines."""

from __future__ import annotations

from formats.reading import read, read_one


def test_every_line_is_an_event_with_its_time() -> None:
    first, second = read("2026-03-02 01:02:03,500 ERROR x\n\n2026-03-02T01:02:04Z INFO y\n")
    assert (first["message"], first.time) == ("2026-03-02 01:02:03,500 ERROR x", "2026-03-02T01:02:03.500000Z")
    assert (second.number, second.time) == (3, "2026-03-02T01:02:04.000000Z")
    assert {"jvm/application/*", "sql/application/*", "*/database/*"} <= first.sources


def test_a_cisco_line_tells_device_facility_and_severity() -> None:
    seen = read_one("rt-1: Mar  2 2026 01:02:03: %SEC_LOGIN-5-WEBLOGIN_SUCCESS: Login Success [user: lan]")
    assert [seen[name] for name in ("hostname", "facility", "severity", "mnemonic")] == [
        "rt-1", "SEC_LOGIN", 5, "WEBLOGIN_SUCCESS",
    ]  # fmt: skip
    assert {"cisco/*/syslog", "cisco/*/aaa"} <= seen.sources
