"""What a person sees at the terminal while a hunt runs, and when it is over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.runs import at_terminal, khien

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "province-day"


@pytest.mark.parametrize("columns", [80, 140])
def test_the_line_shows_bytes_rate_findings_and_the_time_left(columns: int, tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    event = {"EventID": 4624, "Channel": "Security", "Computer": "may-01", "TimeCreated": "2026-03-02T01:02:03Z"}
    log.write_bytes((json.dumps(event).encode() + b"\n") * 300_000)
    code, said = at_terminal("hunt", log, columns=columns)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)
    assert re.search(r"hunting .*\d/\d+\.\d MB +[\d,]+ events/s [\d,]+ findings [\d:-]+ left", plain)
    assert "\x1b[?25h" in said  # the cursor is back


@pytest.mark.parametrize("columns", [80, 140])
def test_the_summary_follows_the_table(columns: int) -> None:
    code, said = at_terminal("hunt", SAMPLE, columns=columns)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said).replace("\r", "\n")
    assert re.search(r"found +\d+ findings: \d+ critical", plain)
    assert re.search(r"searched +5 files, 886\.0 kB, 4,274 events in", plain)
    assert re.search(r"rules +\d+ rules and \d+ correlations", plain)
    assert "unread" not in plain
    assert "UTC+7" in plain
    assert all(len(row) <= columns for row in plain.splitlines() if "hunting" not in row)


def test_no_line_is_drawn_where_there_is_no_terminal() -> None:
    done = khien("hunt", SAMPLE, "--format", "ndjson")
    assert b"hunting" not in done.stderr
    assert b"\x1b" not in done.stderr
    assert done.stderr.startswith(b"found")


def test_what_could_not_be_read_is_listed_with_a_reason_and_code_3(tmp_path: Path) -> None:
    (tmp_path / "bad.evtx").write_bytes(b"ElfFile\0bad")
    (tmp_path / "bad.json").write_bytes(b'{"EventID": 1}\n{"broken": \n')
    (tmp_path / "evil\x1b[31m.evtx").write_bytes(b"ElfFile\0bad")
    code, said = at_terminal("hunt", tmp_path, columns=120)
    assert code == 3
    assert "3 parts of the input could not be read" in said
    assert "bad.json, line 2" in said
    assert "evil\x1b" not in said
