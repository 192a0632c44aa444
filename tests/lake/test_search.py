from __future__ import annotations

import datetime as dt
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from khien.lake import upkeep
from khien.lake.errors import SearchError
from khien.lake.schema import EVENT_SCHEMA, EVENTS
from khien.lake.search import search
from khien.lake.search_language import parse
from khien.lake.search_sql import network_regex
from khien.lake.sketch import SketchBuilder, candidates, runs, sketch_path
from khien.lake.store import Lake
from lake.made import NOON, events, many

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
NOW = NOON + dt.timedelta(hours=1)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    rows = [
        {"host": "web01", "user": "admin", "event_id": "4624", "event": {"EventID": 4624, "TargetUserName": "admin"}},
        {
            "host": "WEB01",
            "user": "nga",
            "event_id": "1",
            "event": {"EventID": 1, "Image": "C:\\Windows\\Temp\\mimikatz.exe"},
        },
        {"host": "db1", "src_ip": "10.1.2.3", "event": {"note": 'said "hello" twice', "path": "/etc/passwd"}},
        {
            "host": "db2",
            "src_ip": "192.168.7.9",
            "event": {"text": "Đà Nẵng\nHuế", "a": {"b": {"c": "deep"}}, "x.y": "flat"},
        },
        {"host": "fw", "logsource": "unparsed", "event": None, "raw": "<13>garbled Line %%", "reason": "no format"},
        {"host": "old", "time": NOON - dt.timedelta(days=3), "event": {"TargetObject": "HKLM\\Run\\Evil", "n": None}},
    ]
    made = [{"time": NOON + dt.timedelta(minutes=at), **row} for at, row in enumerate(rows)]
    made[4]["event"] = "{}"
    lake.append_events(events(*made), app="a", version=0)
    return lake


def hosts(lake: Lake, text: str, limit: int = 100) -> list[str]:
    return search(lake, parse(text, NOW, ZONE), limit=limit, columns=["host"])["host"].to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["fw", "db2", "db1", "WEB01", "web01", "old"]),
        ("host:web01", ["WEB01", "web01"]),
        ("host:web01 user:ADMIN", ["web01"]),
        ("host:web01 -user:admin", ["WEB01"]),
        ("host:db?", ["db2", "db1"]),
        ("host:db1 OR host:fw", ["fw", "db1"]),
        ("mimikatz", ["WEB01"]),
        ("MIMI*.EXE", ["WEB01"]),
        (r'"C:\windows\temp"', ["WEB01"]),
        (r'"said \"hello\""', ["db1"]),
        ('"/etc/passwd"', ["db1"]),
        ('"đà nẵng"', ["db2"]),
        ("GARBLED", ["fw"]),
        ('"line %%"', ["fw"]),
        ("event_id:>=4000", ["web01"]),
        ("event_id:<4000", ["WEB01"]),
        ("EventID:4624", ["web01"]),
        ("EventID:>=4000", ["web01"]),
        ("EventID:*", ["WEB01", "web01"]),
        (r"Image:*\mimikatz.exe", ["WEB01"]),
        (r"TargetObject:*\Run\*", ["old"]),
        ("a.b.c:deep", ["db2"]),
        ("x.y:flat", ["db2"]),
        ('text:"Đà Nẵng\nHuế"', ["db2"]),
        ("n:*", []),
        ("src_ip:10.0.0.0/8", ["db1"]),
        ("src_ip:192.168.0.0/20", ["db2"]),
        ("src_ip:192.168.16.0/20", []),
        ("src_ip:*", ["db2", "db1"]),
        ("NOT src_ip:*", ["fw", "WEB01", "web01", "old"]),
        ("logsource:unparsed", ["fw"]),
        ("logsource:windows-*", ["db2", "db1", "WEB01", "web01", "old"]),
        ("NOT logsource:windows-*", ["fw"]),
        ("reason:*", ["fw"]),
        ("since:2h", ["fw", "db2", "db1", "WEB01", "web01"]),
        ("until:1d", ["old"]),
        ("day:2026-11-17", ["old"]),
        ("time:>=2026-11-20T12:03Z", ["fw", "db2"]),
        ("since:1h host:nobody", []),
        ("missing:x", []),
        ("'; DROP TABLE events; --", []),
        ('host:"\' OR 1=1"', []),
    ],
)
def test_a_search_finds_what_it_says_newest_first(lake: Lake, text: str, found: list[str]) -> None:
    assert hosts(lake, text) == found


def test_a_search_ends_at_its_limit_with_the_newest(lake: Lake) -> None:
    assert hosts(lake, "", limit=2) == ["fw", "db2"]


def test_a_field_that_is_a_time_is_compared_and_not_matched(lake: Lake) -> None:
    with pytest.raises(SearchError, match="compared"):
        hosts(lake, "time:2026")


def test_events_of_a_clock_far_ahead_do_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("khien.lake.search._FEW_ROWS", 0)
    lake = Lake(tmp_path)
    for version, day in enumerate((NOON, NOON - dt.timedelta(days=400), NOON + dt.timedelta(days=20_000))):
        lake.append_events(many(3, str(version), day, host=f"h{version}"), app="a", version=version)
    assert hosts(lake, "") == ["h2"] * 3 + ["h0"] * 3 + ["h1"] * 3
    assert hosts(lake, "-host:h2", limit=4) == ["h0"] * 3 + ["h1"]


def test_compacting_changes_no_answer_and_sketches_spare_files(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for version in range(5):
        start = NOON + dt.timedelta(minutes=version * 10)
        lake.append_events(many(400, f"{version}", start, raw="noise " * 50 + str(version)), app="a", version=version)
    lake.append_events(events({"host": "hit", "event": {"Cmd": "Invoke-Zebra"}, "spool": "z:1"}), app="b", version=0)
    questions = [
        "zebra",
        "Cmd:*zebra",
        "lane",
        'Line:"event 7 of lane 3"',
        "host:host3 EventID:1",
        "NOT lane",
        "nowhere",
    ]
    before = [hosts(lake, text, limit=5000) for text in questions]
    done = upkeep.compact(lake, today=dt.date(2026, 12, 1))
    assert (done.files_before, done.files_after) == (6, 1)
    assert [hosts(lake, text, limit=5000) for text in questions] == before


def test_a_sketch_never_hides_a_text_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("khien.lake.merging._SKETCHED", 0)
    lake = Lake(tmp_path)
    for version in range(2):
        lake.append_events(
            many(50, str(version), event={"Message": f"Rẻ Đẹp tổng cộng {version}, MiXeD CaSe"}),
            app="a",
            version=version,
        )
    upkeep.compact(lake, today=dt.date(2026, 12, 1))
    (file,) = lake.files(EVENTS)
    path = sketch_path("events", file.path)
    assert candidates(lake.storage, path, runs("mixed case")) != []
    assert candidates(lake.storage, path, runs("wombat")) == []
    for text in ("mixed", '"cộng 1"', "đẹp", "TỔNG", "Message:*case"):
        assert len(hosts(lake, text)) == (50 if text == '"cộng 1"' else 100)
    assert hosts(lake, "wombat") == []


def test_a_sketch_tells_texts_of_three_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("khien.lake.merging._SKETCHED", 0)
    lake = Lake(tmp_path)
    for version in range(2):
        lake.append_events(many(50, str(version), raw=f"[q] pid {version} ends %Q"), app="a", version=version)
    upkeep.compact(lake, today=dt.date(2026, 12, 1))
    (file,) = lake.files(EVENTS)
    path = sketch_path("events", file.path)

    def told(text: str) -> bool:
        return candidates(lake.storage, path, runs(text)) != []

    for text in ("[q]", "[Q]", "pid", "PID", " %q", "lan"):  # of raw texts: their first, their last, in between
        assert told(text)
        assert len(hosts(lake, f'"{text}"')) == 100
    assert not any(told(text) for text in ("[q)", "%~q", "zpi"))
    assert hosts(lake, "%~q") == []
    sketch = tmp_path / path
    content = sketch.read_bytes()
    sketch.write_bytes(content[: 40 + (1 << 18)])  # of runs of four bytes alone
    assert told("%~q")
    assert not told("wombat")


@given(st.binary(min_size=3, max_size=40), st.data())
def test_the_runs_of_every_part_of_a_text_are_marked(content: bytes, data: st.DataObject) -> None:
    text = content.decode("latin-1").replace("\0", " ")
    builder = SketchBuilder()
    columns = {"event": [text], "raw": [None], "time": [0]}
    builder.add(pa.table(columns, schema=pa.schema([EVENT_SCHEMA.field(name) for name in columns])))
    begin = data.draw(st.integers(0, len(text) - 3))
    part = text[begin : data.draw(st.integers(begin + 3, len(text)))]
    four, three = (content := builder.encode()[40:])[: 1 << 18], zstandard.decompress(content[1 << 18 :])
    marked = set(np.flatnonzero(np.frombuffer(four + three, np.uint8)).tolist())
    assert set(runs(part.swapcase() if part.isascii() else part)) <= marked


def test_a_broken_sketch_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("khien.lake.merging._SKETCHED", 0)
    lake = Lake(tmp_path)
    for version in range(2):
        lake.append_events(many(10, str(version)), app="a", version=version)
    upkeep.compact(lake, today=dt.date(2026, 12, 1))
    (sketch,) = tmp_path.rglob("*.sketch")
    content = sketch.read_bytes()
    for broken in (b"", b"KHSKT001", b"nonsense" * 20, content[:100], content[:-5], content[: 40 + (1 << 18)] + b"x"):
        sketch.write_bytes(broken)
        assert len(hosts(lake, "lane")) == len(hosts(lake, "lan")) == 20


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_a_network_matches_exactly_its_addresses(base: object, prefix: int, other: object) -> None:
    network = ip_network(f"{base}/{prefix}", strict=False)
    pattern = re.compile(network_regex(network))  # type: ignore[arg-type]
    for address in (other, network.network_address, network.broadcast_address):
        assert bool(pattern.fullmatch(str(address))) == (ip_address(str(address)) in network)


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("2001:db8::/32", ["2001:db8::1", "2001:db8:1::", "2001:0db8:0:0:0:0:0:1"], ["2001:db9::1", "12001:db8::1"]),
        ("2001:db80::/28", ["2001:db8f::1"], ["2001:db9f::1"]),
        ("fe80::/64", [], []),
    ],
)
def test_networks_of_ipv6_match_or_say_why_not(network: str, inside: list[str], outside: list[str]) -> None:
    if not inside:
        with pytest.raises(SearchError):
            network_regex(ip_network(network))
        return
    pattern = re.compile(network_regex(ip_network(network)))
    assert all(pattern.fullmatch(each) for each in inside)
    assert not any(pattern.fullmatch(each) for each in outside)
