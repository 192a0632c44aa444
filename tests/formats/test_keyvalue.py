"""Lines of name=value pairs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.reading import blocks, read_one
from khien.formats.keyvalue import pairs, parse

FORTIGATE = (
    'date=2026-03-02 time=08:02:03 devname="FG-1" devid="FG100" eventtime=1772413323500000000 tz="+0700" logid="0100044547" '
    'type="event" subtype="system" user="lan" action="Add" cfgpath="system.admin" msg="Add \\"x\\" y"'
)


def test_a_fortigate_event_has_the_names_that_rules_use() -> None:
    seen = read_one(FORTIGATE)
    assert [seen[name] for name in ("action", "cfgpath", "user", "msg")] == ["Add", "system.admin", "lan", 'Add "x" y']
    assert {"fortigate/*/event", "fortios/*/sslvpnd"} <= seen.sources
    assert seen.time == "2026-03-02T01:02:03.000000Z"


def test_fortigate_traffic_is_a_firewalls() -> None:
    seen = read_one("<13>" + FORTIGATE.replace('"event"', '"traffic"') + " srcip=192.0.2.7 dstip=192.0.2.8 dstport=22")
    assert [seen[name] for name in ("src_ip", "dst_ip", "dst_port")] == ["192.0.2.7", "192.0.2.8", "22"]
    assert "*/firewall/*" in seen.sources


@pytest.mark.parametrize("line", ["plain text", "a=1", "a=1 b=2", "GET /?a=1&b=2&c=3", "The value x=1 of y=2 and z=3"])
def test_text_with_few_pairs_is_no_such_line(line: str) -> None:
    assert parse(line) is None


def test_the_first_of_equal_names_counts_and_empty_values_stay() -> None:
    assert pairs('a=1 a=2 b="" c= d="x y"') == {"a": "1", "b": "", "c": "", "d": "x y"}


def test_lines_that_are_none_are_counted_once() -> None:
    _, problems = blocks("keyvalue", f"{FORTIGATE}\nnoise\nnoise\n")
    assert [(problem.place, problem.count) for problem in problems] == [("line 2", 2)]


@settings(deadline=None)
@given(st.text(alphabet='a="\\ ,<1>\n', max_size=2000))
def test_no_text_makes_it_raise_or_hang(text: str) -> None:
    blocks("keyvalue", text)
