"""CEF and LEEF of security products."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.reading import blocks, read_one
from khien.formats.cef import parse


def test_header_and_extension_become_fields() -> None:
    seen = read_one(
        "CEF:0|Tinh|Wall \\| Gate|1.0|100|Denied\\\\x|7|src=192.0.2.7 spt=1 dst=192.0.2.8 dpt=443 act=denied "
        "msg=a b\\=c d\\nnext request=https://bad.example/p?q=1 cs1Label=Rule Name cs1=Block all rt=1772413323500"
    )
    expected = {
        "DeviceVendor": "Tinh", "DeviceProduct": "Wall | Gate", "Name": "Denied\\x", "Severity": "7",
        "src_ip": "192.0.2.7", "dst_ip": "192.0.2.8", "dst_port": "443", "action": "denied", "msg": "a b=c d\nnext",
        "Rule Name": "Block all", "c-uri": "https://bad.example/p?q=1",
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == expected
    assert {"*/firewall/*", "*/proxy/*", "*/antivirus/*"} <= seen.sources
    assert seen.time == "2026-03-02T01:02:03.500000Z"


@pytest.mark.parametrize("before", ["", "<13>Mar  2 01:02:03 h ", "2026-03-02T01:02:03Z h "])
def test_a_syslog_header_may_stand_before(before: str) -> None:
    seen = read_one(before + "CEF:0|Fortinet|FortiGate|7|1|x|5|act=Add cfgpath=system.admin dvchost=fg")
    assert (seen["action"], seen["cfgpath"]) == ("Add", "system.admin")
    assert "fortigate/*/event" in seen.sources


@pytest.mark.parametrize(
    "line",
    [
        "LEEF:1.0|Tinh|Gate|1|deny|src=192.0.2.7\tdst=192.0.2.8\tmsg=a b",
        "LEEF:2.0|Tinh|Gate|1|deny|^|src=192.0.2.7^dst=192.0.2.8^msg=a b",
        "LEEF:2.0|Tinh|Gate|1|deny|x5E|src=192.0.2.7^dst=192.0.2.8^msg=a b",
        "LEEF:2.0|Tinh|Gate|1|deny|0x5e|src=192.0.2.7^dst=192.0.2.8^msg=a b",
        "LEEF:2.0|Tinh|Gate|1|deny|src=192.0.2.7\tdst=192.0.2.8\tmsg=a b",
    ],
)
def test_leef_is_read_with_any_delimiter(line: str) -> None:
    seen = read_one(line)
    assert [seen[name] for name in ("src_ip", "dst_ip", "msg", "DeviceEventClassID")] == [
        "192.0.2.7", "192.0.2.8", "a b", "deny",
    ]  # fmt: skip


def test_the_first_of_equal_keys_counts() -> None:
    assert (parse("CEF:0|a|b|c|d|e|f|k=1 k=2") or {})["k"] == "1"


@pytest.mark.parametrize("line", ["CEF:0|too|short", "CEF:x|a|b|c|d|e|f|", "no header", ""])
def test_what_is_none_is_none(line: str) -> None:
    assert parse(line) is None


def test_lines_that_are_none_are_counted_once() -> None:
    found, problems = blocks("cef", "CEF:0|a|b|c|d|e|f|k=1\nnoise\nnoise\n")
    assert sum(len(block.records) for block in found) == 1
    assert [(problem.place, problem.count) for problem in problems] == [("line 2", 2)]


def test_a_header_of_nothing_but_escaped_bars_takes_no_long_time() -> None:
    assert parse("CEF:0|" + "\\|" * 1_000_000) is None


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    for start in (b"", b"CEF:0|a|b|c|d|e|f|", b"LEEF:2.0|a|b|c|d|", b"CEF:0|\\"):
        blocks("cef", start + data)
