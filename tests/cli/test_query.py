from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
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
        {"host": "=cmd()", "event": {"EventID": 1, "Text": "line\none"}},
        {"host": "web02", "event": {"EventID": 2}},
    ]
    Lake(root).append_events(events(*rows), app="a", version=0)
    return root


SQL = "SELECT time, host, EventID, event FROM events ORDER BY EventID"


def test_ndjson_has_times_in_utc_and_events_as_objects(root: Path) -> None:
    lines = khien("query", SQL, "--lake", str(root), "--format", "ndjson").stdout.splitlines()
    assert json.loads(lines[0]) == {
        "time": "2026-11-20T12:00:00.000000Z",
        "host": "=cmd()",
        "EventID": "1",
        "event": {"EventID": 1, "Text": "line\none"},
    }


def test_csv_disarms_formulas(root: Path) -> None:
    text = khien("query", SQL, "--lake", str(root), "--format", "csv").stdout
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["time", "host", "EventID", "event"]
    assert rows[1][:3] == ["2026-11-20T12:00:00.000000Z", "'=cmd()", "1"]


def test_parquet_keeps_types(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "result.parquet"
    khien("query", SQL, "--lake", str(root), "--format", "parquet", "--output", str(target))
    table = pq.read_table(target)
    assert table.num_rows == 2
    assert str(table.schema.field("time").type).startswith("timestamp[us")


def test_a_table_has_times_of_the_zone(root: Path) -> None:
    assert "2026-11-20 19:00:00" in khien("query", SQL, "--lake", str(root), "--format", "table").stdout
    assert (
        "2026-11-20 12:00:00"
        in khien("query", SQL, "--lake", str(root), "--format", "table", "--timezone", "UTC").stdout
    )


def test_the_limit_counts_rows(root: Path) -> None:
    assert len(khien("query", SQL, "--lake", str(root), "--limit", "1").stdout.splitlines()) == 1


def test_bounds_are_read_as_in_a_search(root: Path) -> None:
    assert khien("query", SQL, "--lake", str(root), "--since", "2026-11-22").stdout == ""
    assert "'soon' is no time" in khien("query", SQL, "--lake", str(root), "--since", "soon").stderr


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "the table function 'read_csv' is not allowed"),
        ("DROP VIEW events", "DROP is not allowed"),
        ("SELEC 1", "syntax error"),
        ("SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range * b.range = 7", "longer than 1 s"),
    ],
)
def test_what_cannot_be_asked_ends_with_2_and_the_reason(root: Path, sql: str, what: str) -> None:
    done = khien("query", sql, "--lake", str(root), "--timeout", "1")
    assert done.returncode == 2
    assert what in done.stderr
    assert "Traceback" not in done.stderr
