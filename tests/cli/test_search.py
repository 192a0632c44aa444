from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from khien.lake.store import Lake
from lake.made import events


def khien(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "khien.cli.main", *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lake")
    rows = [
        {"host": "web01", "user": "admin", "command_line": "mimikatz \x1b[31m", "event": {"EventID": 1}},
        {"host": "web02", "logsource": "unparsed", "event": None, "raw": "garbled", "reason": "no format"},
    ]
    rows[1]["event"] = "{}"
    Lake(root).append_events(events(*rows), app="a", version=0)
    return root


def test_events_are_shown_with_local_times_and_without_control_characters(root: Path) -> None:
    done = khien("search", "host:web01", "--lake", str(root), "--format", "table")
    assert "2026-11-20 19:00:00" in done.stdout
    assert "mimikatz" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == "1 event\n"


def test_machines_get_utc_and_every_column(root: Path) -> None:
    (line,) = khien("search", "garbled", "--lake", str(root), "--format", "ndjson").stdout.splitlines()
    record = json.loads(line)
    assert record["time"] == "2026-11-20T12:00:00.000000Z"
    assert (record["raw"], record["reason"], record["event"]) == ("garbled", "no format", {})


def test_csv_has_a_header(root: Path) -> None:
    assert khien("search", "", "--lake", str(root), "--format", "csv").stdout.startswith("day,logsource,time,")


def test_an_error_shows_the_place(root: Path) -> None:
    done = khien("search", "web (a OR", "--lake", str(root))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "khien: a term is missing",
        "    web (a OR",
        "             ^",
        'Write e.g. host:web01 or "text"; words like OR can be quoted',
    ]
