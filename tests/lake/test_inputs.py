from __future__ import annotations

import datetime as dt
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cli.runs import khien
from khien.collect.spool import Parcel
from khien.events.mapping import Classifier
from khien.flow.rows import RowMaker
from khien.lake import upkeep
from khien.lake.checking import check
from khien.lake.inputs import files_of, lake_inputs
from khien.lake.store import Lake
from lake.made import NOON, events

SAMPLES = Path(__file__).parents[2] / "samples" / "province-day"
RECEIVED = int(dt.datetime(2026, 3, 3, tzinfo=dt.UTC).timestamp() * 1_000_000)
WHOAMI = """
title: Who Am I
id: 3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de01
level: medium
logsource: {category: process_creation, product: windows}
detection: {selection: {Image|endswith: '\\whoami.exe'}, condition: selection}
"""


def line(at: int) -> str:
    return json.dumps(
        {
            "EventID": 1,
            "Channel": "Microsoft-Windows-Sysmon/Operational",
            "Computer": "PC-01.example.vn",
            "TimeCreated": (NOON + dt.timedelta(seconds=at)).isoformat(),
            "Image": "C:\\Windows\\System32\\whoami.exe",
            "CommandLine": f"whoami {at}",
        }
    )


def windows(first: int, count: int) -> pa.Table:
    return events(
        *(
            {"time": NOON + dt.timedelta(seconds=at), "event": line(at), "spool": f"0:1:{at}"}
            for at in range(first, first + count)
        )
    )


def rule(folder: Path, text: str = WHOAMI) -> Path:
    file = folder / "rule.yml"
    file.write_text(text)
    return file


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(each) for each in path.read_bytes().splitlines()]


def whats(found: list[dict[str, Any]]) -> list[str]:
    """Findings without the place where their event was read."""
    return sorted(
        json.dumps([one["rule_id"], one["time"], one["host"], one["user"], one["matched"], one["event"]])
        for one in found
    )


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the sample recording, each file a source, sent in parcels as a collector sends them."""
    root = tmp_path_factory.mktemp("recording") / "lake"
    lake = Lake(root)
    maker = RowMaker(Classifier.load())
    sequence = 0
    for file in sorted(SAMPLES.iterdir()):
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        rows = data.splitlines(keepends=True)
        size = 400 if b"audit(" not in data else 4
        for start in range(0, len(rows), size):
            sequence += 1
            part = rows[start : start + size]
            parcel = Parcel(file.name, "", RECEIVED, data=b"".join(part), count=len(part))
            lake.append_events(maker.table(0, sequence, parcel, "unit"), app="lane-0", version=sequence)
    return root


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_hunt_through_the_lake_finds_what_a_hunt_through_the_files_finds(
    recording: Path, tmp_path: Path, jobs: str
) -> None:
    khien("hunt", SAMPLES, "--format", "ndjson", "--output", tmp_path / "files", home=tmp_path)
    done = khien("hunt", "--lake", recording, "--jobs", jobs, "--output", tmp_path / "lake", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(lines(tmp_path / "files")) > 40
    assert whats(lines(tmp_path / "lake")) == whats(lines(tmp_path / "files"))


def test_the_lake_of_the_recording_is_clean(recording: Path) -> None:
    assert check(Lake(recording), deep=True).faults == []


ZEEK = """#separator \\x09
#set_separator\t,
#empty_field\t(empty)
#unset_field\t-
#path\tconn
#fields\tts\tuid\tid.orig_h\tid.resp_h\tproto
#types\ttime\tstring\taddr\taddr\tenum
1772409803.784383\tCe3\t10.1.0.55\t198.51.100.25\ttcp
"""
IIS = """#Software: Microsoft Internet Information Services 10.0
#Fields: date time c-ip cs-method cs-uri-stem sc-status cs(User-Agent)
2026-03-02 00:00:00 10.1.1.1 GET /a.aspx 200 curl
"""
TWO = """
title: A Page
id: 3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de11
level: medium
logsource: {category: webserver}
detection: {selection: {cs-uri-stem: /a.aspx}, condition: selection}
---
title: A Peer
id: 3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de12
level: medium
logsource: {product: zeek, service: conn}
detection: {selection: {id.resp_h: 198.51.100.25}, condition: selection}
"""


def test_lines_that_need_a_header_are_read_as_the_events_they_became(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    maker = RowMaker(Classifier.load())
    (tmp_path / "logs").mkdir()
    for sequence, (name, text) in enumerate({"conn.log": ZEEK, "iis.log": IIS}.items(), 1):
        (tmp_path / "logs" / name).write_text(text)
        parcel = Parcel(name, "", RECEIVED, data=text.encode(), count=1)
        lake.append_events(maker.table(0, sequence, parcel, "unit"), app="lane-0", version=sequence)
    rules = rule(tmp_path, TWO)
    files = khien("hunt", tmp_path / "logs", "--rules", rules).stdout
    found = khien("hunt", "--lake", tmp_path / "lake", "--rules", rules).stdout
    assert len(files.splitlines()) == 2
    assert whats([json.loads(each) for each in found.splitlines()]) == whats(
        [json.loads(each) for each in files.splitlines()]
    )


def test_it_does_so_when_the_lake_is_compacted(recording: Path, tmp_path: Path) -> None:
    upkeep.compact(Lake(recording))
    khien("hunt", SAMPLES, "--format", "ndjson", "--output", tmp_path / "files", home=tmp_path)
    khien("hunt", "--lake", recording, "--output", tmp_path / "lake", home=tmp_path)
    assert whats(lines(tmp_path / "lake")) == whats(lines(tmp_path / "files"))


def test_a_period_takes_rows_by_the_time_the_lake_gives_them_and_records_are_row_numbers(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.append_events(windows(0, 10), app="a", version=1)
    since, until = (NOON + dt.timedelta(seconds=3)).isoformat(), (NOON + dt.timedelta(seconds=5)).isoformat()
    done = khien(*("hunt", "--lake", tmp_path / "lake", "--rules", rule(tmp_path)), "--since", since, "--until", until)
    found = [json.loads(each) for each in done.stdout.splitlines()]
    assert [(one["record"], one["event"]["CommandLine"]) for one in found] == [
        (4, "whoami 3"),
        (5, "whoami 4"),
        (6, "whoami 5"),
    ]
    assert {one["path"] for one in found} == {file.path for file in files_of(lake, None, None)}


def test_relative_times_count_from_now(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    now = dt.datetime.now(dt.UTC)
    rows = [{"time": now - dt.timedelta(days=days), "event": line(days), "spool": f"0:1:{days}"} for days in (1, 40)]
    lake.append_events(events(*rows), app="a", version=1)
    done = khien("hunt", "--lake", tmp_path / "lake", "--since", "30d", "--rules", rule(tmp_path))
    assert [json.loads(each)["event"]["CommandLine"] for each in done.stdout.splitlines()] == ["whoami 1"]


def test_the_lake_is_named_by_the_environment_where_no_folder_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lake(tmp_path / "lake").append_events(windows(0, 2), app="a", version=1)
    monkeypatch.setenv("KHIEN_LAKE", str(tmp_path / "lake"))
    done = khien("hunt", "--lake", "--rules", rule(tmp_path))
    assert len(done.stdout.splitlines()) == 2


def test_files_and_a_lake_exclude_each_other(tmp_path: Path) -> None:
    done = khien("hunt", tmp_path, "--lake", tmp_path)
    assert (done.returncode, b"both PATHS and --lake" in done.stderr) == (2, True)
    done = khien("hunt")
    assert (done.returncode, b"nothing says what to hunt through" in done.stderr) == (2, True)


def test_unparsed_rows_are_reported_and_left_out(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.append_events(
        events({"logsource": "unparsed", "event": "", "raw": "%%%", "reason": "is in no known log format"}),
        app="a",
        version=1,
    )
    done = khien("hunt", "--lake", tmp_path / "lake", "--rules", rule(tmp_path))
    assert done.returncode == 3
    assert b"khien lake reparse" in done.stderr


def test_a_file_with_sources_of_several_formats_is_an_input_for_each(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    syslog = "<38>1 2026-11-20T12:00:00Z web01 sshd 1 - - Failed password for root from 198.51.100.7 port 1 ssh2"
    weblog = '198.51.100.7 - - [20/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "curl"'
    lake.append_events(
        events(
            {"logsource": "other", "source": "a", "raw": syslog, "spool": "0:1:1"},
            {"logsource": "other", "source": "b", "raw": weblog, "spool": "0:1:2"},
            {"logsource": "other", "source": "c", "event": line(1), "spool": "0:1:3"},
        ),
        app="a",
        version=1,
    )
    problems: list[Any] = []
    inputs = lake_inputs(lake.storage, files_of(lake, None, None), None, None, problems.append)
    texts = {}
    for each in inputs:
        with each.open() as stream:
            texts[each.path.partition("!")[2]] = stream.read().decode()
    assert texts == {"syslog": f"{syslog}\n", "weblog": f"{weblog}\n", "json": f"{line(1)}\n"}
    assert problems == []


def test_the_records_of_an_audit_event_in_several_files_are_joined_and_read_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    head = "msg=audit(1763640000.000:700):"
    texts = [
        f'type=SYSCALL {head} arch=c000003e syscall=59 success=yes ppid=80 pid=900 uid=33 comm="sh" exe="/usr/bin/dash"',
        f'type=EXECVE {head} argc=3 a0="sh" a1="-c" a2="whoami"',
        f"type=EOE {head} ",
    ]
    rows = [{"logsource": "linux-auditd", "raw": text, "spool": f"0:1:{at}"} for at, text in enumerate(texts, 1)]
    derived = {"logsource": "linux-process_creation", "raw": texts[0], "spool": "0:1:1"}
    lake.append_events(events(*rows[1:], derived), app="a", version=1)
    lake.append_events(events(rows[0]), app="a", version=2)
    (each,) = lake_inputs(lake.storage, files_of(lake, None, None), None, None, [].append)
    with each.open() as stream:
        assert stream.read().decode().splitlines() == texts
    assert each.path == "day=2026-11-20/auditd/agent"


RUN = """
import sys, khien.cli.main as m, khien.hunt.resuming as r
keep = r.Resumption.done
def done(self, path, tally):
    keep(self, path, tally)
    if len(self.state.done) == 2:
        self._output.write(b"torn"); self._output.flush()
        import os; os._exit(9)
r.Resumption.done = done
m.main()
"""


def test_a_hunt_that_was_killed_goes_on_and_gives_every_finding_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    for version in range(5):
        lake.append_events(windows(version * 10, 10), app="a", version=version)
    many = """
title: Many
id: 3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de03
level: high
correlation:
  type: event_count
  rules: [3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de01]
  group-by: [Computer]
  timespan: 1h
  generate: true
  condition: {gte: 50}
"""
    rules = rule(tmp_path, WHOAMI + "---" + many)
    arguments = [
        *("hunt", "--lake", tmp_path / "lake", "--rules", rules, "--output", tmp_path / "found"),
        *("--format", "ndjson", "--resume", tmp_path / "state"),
    ]
    killed = subprocess.run([sys.executable, "-c", RUN, *map(str, arguments)], check=False, capture_output=True)
    assert killed.returncode == 9, killed.stderr
    lake.append_events(windows(100, 10), app="a", version=9)
    upkeep.compact(lake, today=dt.date(2026, 12, 1))
    done = khien(*arguments)
    assert done.returncode == 0, done.stderr
    found = lines(tmp_path / "found")
    singles = [one["event"]["CommandLine"] for one in found if one["title"] == "Who Am I"]
    assert sorted(singles) == sorted(f"whoami {at}" for at in range(50))
    assert [one["event"]["count"] for one in found if one["title"] == "Many"] == [50]
    assert not (tmp_path / "state").exists()
    assert b"50" in done.stderr or b"51" in done.stderr


def test_a_state_of_other_rules_is_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.append_events(windows(0, 10), app="a", version=0)
    lake.append_events(windows(10, 10), app="a", version=1)
    lake.append_events(windows(20, 10), app="a", version=2)
    arguments = ["hunt", "--lake", tmp_path / "lake", "--output", tmp_path / "found", "--format", "ndjson"]
    arguments += ["--resume", tmp_path / "state", "--rules"]
    subprocess.run([sys.executable, "-c", RUN, *map(str, [*arguments, rule(tmp_path)])], check=False)
    other = rule(tmp_path, WHOAMI.replace("whoami.exe", "net.exe"))
    done = khien(*arguments, other)
    assert done.returncode == 2
    assert b"with other rules" in done.stderr
