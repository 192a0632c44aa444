from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cli.runs import khien
from khien.collect.keys import new_key
from khien.flow.reparsing import LineParser
from khien.lake import upkeep
from khien.lake.checking import check
from khien.lake.errors import ConflictError
from khien.lake.reparse import Lines, Reparsed, reparse
from khien.lake.schema import EVENTS
from khien.lake.store import Lake
from lake.made import NOON, events, many

SYSLOG = "<38>1 2026-11-20T11:00:00Z web01 sshd 1 - - Failed password for root from 198.51.100.7 port 1 ssh2"
JSON = json.dumps(
    {
        "EventID": 1,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Computer": "PC-01",
        "TimeCreated": "2026-11-19T23:00:00Z",
    }
)


def unparsed(*texts: str, sequence: int = 1, first: int = 1, **given: Any) -> list[dict[str, Any]]:
    return [
        {
            "logsource": "unparsed",
            "received": NOON,
            "event": "",
            "raw": text,
            "reason": "is in no known log format",
            "source": "web",
            "unit": "Sample unit",
            "spool": f"3:{sequence}:{number}",
            **given,
        }
        for number, text in enumerate(texts, first)
    ]


def rows(lake: Lake, columns: str) -> list[tuple[Any, ...]]:
    files = [f"{lake.storage.uri}/events/{file.path}" for file in lake.files(EVENTS)]
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection.execute(
        f"SELECT {columns} FROM read_parquet({files}, hive_partitioning = true) ORDER BY spool"
    ).fetchall()


def run(lake: Lake, **given: Any) -> Reparsed:
    return reparse(lake, LineParser({}), **given)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_what_can_be_parsed_now_takes_the_place_of_the_raw_row(lake: Lake) -> None:
    lake.append_events(
        events(*unparsed(SYSLOG, SYSLOG), *unparsed("%%%", JSON, sequence=2, first=7)), app="a", version=1
    )
    done = run(lake)
    assert (done.tried, done.parsed["web"], done.left["web"], done.events) == (4, 3, 1, 3)
    assert rows(lake, "spool, logsource, host, unit, reason, strftime(time, '%H:%M'), day") == [
        ("3:1:1", "linux-auth", "web01", "Sample unit", None, "11:00", dt.date(2026, 11, 20)),
        ("3:1:2", "linux-auth", "web01", "Sample unit", None, "11:00", dt.date(2026, 11, 20)),
        ("3:2:7", "unparsed", None, "Sample unit", "is in no known log format", "12:00", dt.date(2026, 11, 20)),
        ("3:2:8", "windows-sysmon", "PC-01", "Sample unit", None, "23:00", dt.date(2026, 11, 19)),
    ]
    assert check(lake, deep=True).faults == []


def test_it_is_one_commit_and_doing_it_again_changes_nothing(lake: Lake) -> None:
    for version in range(3):
        lake.append_events(events(*unparsed(SYSLOG, "%%%", sequence=version)), app="a", version=version)
    before = lake.table(EVENTS).version()
    assert run(lake).parsed["web"] == 3
    assert lake.table(EVENTS).version() == before + 1
    found = rows(lake, "* EXCLUDE (time, received), epoch_us(time), epoch_us(received)")
    assert run(lake).parsed["web"] == 0
    assert lake.table(EVENTS).version() == before + 1
    assert rows(lake, "* EXCLUDE (time, received), epoch_us(time), epoch_us(received)") == found


def test_only_rows_of_the_period_and_source_are_tried(lake: Lake) -> None:
    hour = dt.timedelta(hours=1)
    texts = [
        *unparsed(SYSLOG, sequence=1, time=NOON - hour),
        *unparsed(SYSLOG, sequence=2),
        *unparsed(SYSLOG, sequence=3, source="other"),
        *unparsed(SYSLOG, sequence=4, time=NOON + hour),
    ]
    lake.append_events(events(*texts), app="a", version=1)
    micros = int(NOON.timestamp()) * 1_000_000
    done = run(lake, since=micros, until=micros + 1, source="web")
    assert (done.tried, done.parsed["web"]) == (1, 1)
    assert [row[0] for row in rows(lake, "spool, logsource") if row[1] != "unparsed"] == ["3:2:1"]


def test_the_format_of_a_source_is_taken_where_it_is_given(lake: Lake) -> None:
    lake.append_events(events(*unparsed("no standard at all")), app="a", version=1)
    assert run(lake).parsed["web"] == 0
    assert reparse(lake, LineParser({"web": "syslog"})).parsed["web"] == 1
    assert rows(lake, "logsource, raw") == [("linux-syslog", "no standard at all")]


class Meanwhile:
    """Parses, and does something else to the lake the first time."""

    def __init__(self, deed: Callable[[], object]) -> None:
        self._deed: Callable[[], object] | None = deed
        self._parse = LineParser({})

    def __call__(self, lines: Lines) -> Any:
        deed, self._deed = self._deed, None
        if deed:
            deed()
        return self._parse(lines)


def test_events_appended_meanwhile_stay(lake: Lake) -> None:
    lake.append_events(events(*unparsed(SYSLOG, "%%%")), app="a", version=1)
    other = Lake(lake.storage.uri)
    reparse(lake, Meanwhile(lambda: other.append_events(many(5, "9"), app="b", version=1)))
    assert len(rows(lake, "spool")) == 7
    assert check(lake).faults == []


def test_files_merged_meanwhile_are_begun_with_again(lake: Lake) -> None:
    for version in range(3):
        lake.append_events(events(*unparsed(SYSLOG, "%%%", sequence=version)), app="a", version=version)
    other = Lake(lake.storage.uri)

    def tidy() -> None:
        upkeep.compact(other, today=dt.date(2026, 12, 1))
        upkeep.vacuum(other, hours=0)

    done = reparse(lake, Meanwhile(tidy))
    assert (done.tried, done.parsed["web"]) == (6, 3)
    assert len(rows(lake, "spool")) == 6
    report = check(lake, deep=True)
    assert (report.faults, report.orphans) == ([], [])


def test_one_that_is_always_overtaken_gives_up_and_leaves_no_files(lake: Lake) -> None:
    lake.append_events(events(*unparsed(SYSLOG, "%%%")), app="a", version=1)
    other = Lake(lake.storage.uri)
    parse = LineParser({})
    versions = iter(range(2, 100))

    def overtaken(lines: Lines) -> Any:
        for _ in range(2):
            other.append_events(many(3, str(version := next(versions)), logsource="x"), app="a", version=version)
        upkeep.compact(other, today=dt.date(2026, 12, 1))
        return parse(lines)

    with pytest.raises(ConflictError):
        reparse(lake, overtaken)
    assert check(lake).orphans == []
    assert [row[0] for row in rows(lake, "logsource") if row[0] == "unparsed"] == ["unparsed"] * 2


def test_one_that_is_killed_before_it_is_done_changes_nothing(tmp_path: Path, lake: Lake) -> None:
    lake.append_events(events(*unparsed(SYSLOG, "%%%")), app="a", version=1)
    code = (
        "import os, sys; from khien.lake.store import Lake; import khien.lake.reparse as r\n"
        "from khien.flow.reparsing import LineParser\n"
        "Lake.replace = lambda *a: os._exit(9)\n"
        "r.reparse(Lake(sys.argv[1]), LineParser({}))"
    )
    assert subprocess.run([sys.executable, "-c", code, lake.storage.uri], check=False).returncode == 9
    assert {row[0] for row in rows(lake, "logsource")} == {"unparsed"}
    assert run(lake).parsed["web"] == 1
    assert check(lake).faults == []


def test_the_command_says_what_came_of_it(tmp_path: Path, lake: Lake) -> None:
    lake.append_events(
        events(*unparsed("no standard at all", SYSLOG), *unparsed("%%%", source="x")), app="a", version=1
    )
    sources = tmp_path / "sources.toml"
    sources.write_text(f'[[source]]\nid = "web"\nkind = "http"\nformat = "syslog"\nkey = "{new_key("web").hashed}"\n')
    done = khien("lake", "reparse", "--lake", lake.storage.uri, "--since", "2026-11-20", "--sources", sources)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines() == [
        "parsed 2 of 3 lines into 2 events; 1 stay as they are",
        "  web: 2 parsed, 0 left",
        "  x: 0 parsed, 1 left",
    ]
