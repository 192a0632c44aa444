"""The `khien` command, run as a person runs it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

KHIEN = str(Path(sys.executable).with_name("khien"))
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "province-day"
RULE = """
title: Secret tool
id: 5f0c3c1e-0b1f-4c38-9a83-2f6d1b6f7d10
status: test
tags: [attack.execution, attack.t1059.001]
logsource: {product: windows, category: process_creation}
detection:
  tool: {CommandLine|contains: 'bí-mật'}
  known: {User: 'TINH\\quản-trị'}
  condition: tool and not known
level: high
"""
EVENT = {
    "EventID": 1,
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "Computer": "may-01.tinh.example",
    "TimeCreated": "2026-03-02T01:02:03.5Z",
    "Image": "C:\\x.exe",
    "CommandLine": "x.exe BÍ-MẬT --now",
    "User": "TINH\\nv.a01",
}


def khien(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([KHIEN, *map(str, arguments)], input=stdin, capture_output=True, check=False, timeout=120)


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "rule.yml"
    path.write_text(RULE, encoding="utf-8")
    return path


@pytest.fixture
def line() -> bytes:
    return json.dumps(EVENT, ensure_ascii=False).encode() + b"\n"


def found(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_finding_has_the_documented_fields(rule: Path, line: bytes, tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_bytes(b'{"EventID": 5}\n' + line)
    done = khien("hunt", log, "--rules", rule)
    assert done.returncode == 0, done.stderr
    (finding,) = found(done)
    assert finding == {
        "rule_id": "5f0c3c1e-0b1f-4c38-9a83-2f6d1b6f7d10",
        "title": "Secret tool",
        "level": "high",
        "status": "test",
        "tags": ["attack.execution", "attack.t1059.001"],
        "logsource": {"product": "windows", "category": "process_creation", "service": ""},
        "time": "2026-03-02T01:02:03.500000Z",
        "host": "may-01.tinh.example",
        "user": "TINH\\nv.a01",
        "path": str(log),
        "record": 2,
        "matched": [{"field": "CommandLine", "value": "x.exe BÍ-MẬT --now", "pattern": "*bí-mật*"}],
        "event": EVENT,
    }


def test_the_same_event_is_found_in_every_shape_and_wrapping(rule: Path, line: bytes, tmp_path: Path) -> None:
    nested = {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
                "EventID": 1,
                "Channel": EVENT["Channel"],
                "Computer": EVENT["Computer"],
                "TimeCreated": {"#attributes": {"SystemTime": EVENT["TimeCreated"]}},
            },
            "EventData": {name: EVENT[name] for name in ("Image", "CommandLine", "User")},
        }
    }
    beat = {
        "@timestamp": EVENT["TimeCreated"],
        "winlog": {
            "channel": EVENT["Channel"],
            "event_id": "1",
            "computer_name": EVENT["Computer"],
            "event_data": {name: EVENT[name] for name in ("Image", "CommandLine", "User")},
        },
    }
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a-flat.txt").write_bytes(line)
    (folder / "b-nested.json").write_text(json.dumps(nested))
    (folder / "c-beat.json").write_text(json.dumps([beat], indent=2))
    (folder / "d-pretty.json").write_text(json.dumps(EVENT, indent=1) + json.dumps(EVENT, indent=1))
    (folder / "e-utf16.json").write_text(line.decode(), encoding="utf-16")
    (folder / "f.gz").write_bytes(gzip.compress(line))
    with zipfile.ZipFile(folder / "g.zip", "w") as archive:
        archive.writestr("../../out.json", line)
        archive.writestr("inner.gz", gzip.compress(line))
    with tarfile.open(folder / "h.tar.xz", "w:xz") as archive:
        member = tarfile.TarInfo("deep/x.json")
        member.size = len(line)
        archive.addfile(member, io.BytesIO(line))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    header = ",".join(EVENT)
    (folder / "i.csv").write_text(header + "\n" + ",".join(f'"{value}"' for value in EVENT.values()) + "\n")
    done = khien("hunt", folder, "--rules", rule)
    counts: dict[str, int] = {}
    for finding in found(done):
        name = str(finding["path"])[len(str(folder)) + 1 :]
        counts[name] = counts.get(name, 0) + 1
        assert finding["time"] == "2026-03-02T01:02:03.500000Z"
        assert finding["host"] == EVENT["Computer"]
    assert counts == {
        "a-flat.txt": 1,
        "b-nested.json": 1,
        "c-beat.json": 1,
        "d-pretty.json": 2,
        "e-utf16.json": 1,
        "f.gz": 1,
        "g.zip!../../out.json": 1,
        "g.zip!inner.gz": 1,
        "h.tar.xz!deep/x.json": 1,
        "i.csv": 1,
    }
    assert done.returncode == 3
    assert b"link" in done.stderr
    assert not (tmp_path.parent / "out.json").exists()


def test_standard_input_level_period_and_exclusion(rule: Path, line: bytes) -> None:
    assert len(found(khien("hunt", "-", "--rules", rule, stdin=line))) == 1
    assert len(found(khien("hunt", "-", "--rules", rule, stdin=gzip.compress(line)))) == 1
    for arguments in (
        ("--level", "critical"),
        ("--since", "2026-03-02T01:02:04Z"),
        ("--until", "2026-03-02T08:02:03+07:00"),
        ("--exclude-rule", "5f0c3c1e-0b1f-4c38-9a83-2f6d1b6f7d10"),
    ):
        done = khien("hunt", "-", "--rules", rule, *arguments, stdin=line)
        assert done.returncode in (0, 2)
        assert not done.stdout
    assert len(found(khien("hunt", "-", "--rules", rule, "--since", "2026-03-02T08:02:03+07:00", stdin=line))) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("hunt",),
        ("hunt", "x", "--level", "huge"),
        ("hunt", "x", "--since", "yesterday"),
        ("hunt", "x", "--timezone", "Mars/Olympus"),
        ("hunt", "x", "--input-format", "none"),
        ("hunt", "x", "--since", "2026-02-01", "--until", "2026-01-31"),
        ("hunt", "x", "--since", "2026-02-30"),
        ("hunt", "x", "--rules", "/nowhere"),
        ("rules", "check", "/nowhere"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_clear_line(arguments: tuple[str, ...]) -> None:
    done = khien(*arguments)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_two_jobs_find_the_same_in_the_same_order(rule: Path, line: bytes, tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    other = json.dumps({**EVENT, "CommandLine": "y" * 300}).encode() + b"\n"
    with log.open("wb") as stream:
        for number in range(60_000):
            stream.write(line if number % 1_000 == 7 else other)
        stream.write(b'{"broken": \n')
    assert log.stat().st_size > 24 << 20
    one, two = (khien("hunt", log, "--rules", rule, "--jobs", jobs) for jobs in ("1", "2"))
    assert len(found(one)) == 60
    assert one.stdout == two.stdout
    assert one.returncode == two.returncode == 3
    assert b"line 60001" in one.stderr


def test_the_sample_shows_every_step_of_its_attack() -> None:
    done = khien("hunt", SAMPLE)
    assert done.returncode == 0, done.stderr
    titles = {str(finding["title"]) for finding in found(done)}
    assert {
        "Office Program Starts a Shell or Script Host",
        "Burst of Discovery Commands",
        "LSASS Memory Dumped Through Comsvcs",
        "Password Spraying",
        "Service Installed With a Shell or Script",
        "Shadow Copies or Backups Deleted",
        "Security Log Cleared Without a Planned Shutdown",
        "Request to a Well-Known Web Shell Name",
        "Reverse Shell Through a Network Device File",
        "Steady Connections to One Address (Beaconing)",
    } <= titles


def test_every_output_format_is_well_formed(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(khien("hunt", SAMPLE, "--format", "csv").stdout.decode())))
    assert len(rows) > 30
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    layer = json.loads(khien("hunt", SAMPLE, "--format", "navigator").stdout)
    assert {"techniqueID", "score"} <= set(layer["techniques"][0])
    for line in khien("hunt", SAMPLE, "--format", "ocsf").stdout.splitlines():
        finding = json.loads(line)
        assert (finding["class_uid"], finding["type_uid"], finding["category_uid"]) == (2004, 200401, 2)
        assert finding["time"] > 1_700_000_000_000
        assert finding["finding_info"]["uid"]
    report = tmp_path / "report.html"
    assert khien("hunt", SAMPLE, "--format", "html", "--output", report).returncode == 0
    page = report.read_text()
    assert "http://" not in page.split("<body>")[0]
    assert "default-src 'none'" in page.replace("&#x27;", "'")
    table = khien("hunt", SAMPLE, "--format", "table").stdout.decode()
    assert "critical" in table
    assert "events/s" in table


def test_explain_shows_what_held_and_what_did_not(rule: Path, line: bytes, tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_bytes(line)
    text = khien("explain", rule, log).stdout.decode()
    assert "matches" in text
    assert "yes CommandLine: *bí-mật*" in text
    assert "no  User:" in text


def test_starter_rules_pass_their_own_tests() -> None:
    done = khien("rules", "test")
    assert done.returncode == 0, done.stdout.decode()[-2000:]
    assert b" 0 failed" in done.stdout


def test_rules_check_gives_reasons(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text("title: x\nlogsource: {product: a}\ndetection:\n  s:\n    a|nonsense: b\n  condition: s\n")
    (tmp_path / "broken.yml").write_text("title: [x\n")
    done = khien("rules", "check", tmp_path)
    assert done.returncode == 3
    assert b"unknown modifier 'nonsense'" in done.stdout
    assert b"line 2" in done.stdout
    assert b"0 rules" in done.stdout
