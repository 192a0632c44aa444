from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from khien.lake import upkeep
from khien.lake.checking import check
from khien.lake.errors import LakeError
from khien.lake.schema import EVENTS, FINDINGS
from khien.lake.search import search
from khien.lake.search_language import parse
from khien.lake.store import Lake
from lake.made import NOON, events, findings, many


def rows(root: Path, kind: str = "events") -> pa.Table:
    return DeltaTable(root / kind).to_pyarrow_table()


def test_a_batch_appended_twice_is_in_the_lake_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.append_events(many(3, "a"), app="a", version=1)
    assert not lake.append_events(many(3, "a"), app="a", version=1)
    assert rows(tmp_path).num_rows == 3


def test_a_batch_older_than_the_last_of_its_app_is_skipped(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.append_events(many(3, "a"), app="a", version=5)
    assert not lake.append_events(many(3, "b"), app="a", version=4)
    assert lake.version("a") == 5


def test_apps_count_their_versions_apart_and_so_do_tables(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.append_events(many(1, "a"), app="a", version=5)
    assert lake.append_events(many(1, "b"), app="b", version=0)
    assert lake.append_findings(findings({}), app="a", version=2)
    assert (lake.version("a"), lake.version("b"), lake.version("c")) == (5, 0, None)
    assert lake.version("a", FINDINGS) == 2


def test_a_batch_without_rows_still_moves_the_version(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.append_events(many(0, "a"), app="a", version=7)
    assert Lake(tmp_path).version("a") == 7


def test_rows_lie_by_day_and_log_source_in_order_of_time(tmp_path: Path) -> None:
    later = NOON + dt.timedelta(days=1)
    lake = Lake(tmp_path)
    lake.append_events(
        events(
            {"time": NOON + dt.timedelta(seconds=9), "host": "second"},
            {"time": NOON, "host": "first"},
            {"time": later, "logsource": "linux-sshd", "host": "third"},
        ),
        app="a",
        version=1,
    )
    files = lake.files(EVENTS)
    assert [file.partition for file in files] == [
        {"day": "2026-11-20", "logsource": "windows-sysmon"},
        {"day": "2026-11-21", "logsource": "linux-sshd"},
    ]
    assert pq.ParquetFile(tmp_path / "events" / files[0].path).read(["host"])["host"].to_pylist() == ["first", "second"]
    assert files[0].first == int(NOON.timestamp()) * 1_000_000
    assert files[0].last == int(NOON.timestamp() + 9) * 1_000_000
    assert [file.rows for file in files] == [2, 1]


def test_columns_that_are_not_given_are_null(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append_events(
        events({"host": "web01"}).select(["day", "logsource", "time", "received", "host"]), app="a", version=1
    )
    assert rows(tmp_path)["url"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("table", "what"),
    [
        (events({}).append_column("colour", pa.array(["red"])), "no column 'colour'"),
        (events({}).drop_columns(["time"]), "'time' is missing"),
        (events({"logsource": "../../etc"}), "no value for the partition 'logsource'"),
        (events({"logsource": ""}), "no value for the partition 'logsource'"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_leave_nothing_behind(tmp_path: Path, table: pa.Table, what: str) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(LakeError, match=what):
        lake.append_events(table, app="a", version=1)
    assert list(tmp_path.rglob("*.parquet")) == []
    assert lake.version("a") is None


@pytest.mark.parametrize("folder", ["with blank", "it's [a]*?b", "ü%x", "a#b&c=d"])
def test_a_folder_may_have_any_name(tmp_path: Path, folder: str) -> None:
    lake = Lake(tmp_path / folder)
    lake.append_events(many(3, "a"), app="a", version=0)
    lake.append_events(many(3, "b"), app="a", version=1)
    wanted = parse("lane", NOON, dt.UTC)
    assert search(lake, wanted).num_rows == 6
    upkeep.compact(lake, today=dt.date(2026, 12, 1))
    assert search(Lake(tmp_path / folder, create=False), wanted).num_rows == 6
    assert check(lake, deep=True).clean
    assert len(upkeep.vacuum(lake, hours=0)) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == [folder]


def test_a_folder_that_delta_would_mistake_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="Rename it"):
        Lake(tmp_path / "a%20b")


def test_a_lake_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="there is no lake"):
        Lake(tmp_path / "nowhere", create=False)
    assert not (tmp_path / "nowhere").exists()


def test_a_log_that_cannot_be_read_is_told_with_its_place(tmp_path: Path) -> None:
    Lake(tmp_path)
    (tmp_path / "events" / "_delta_log" / f"{0:020d}.json").write_text("{not json\n")
    with pytest.raises(LakeError, match="events"):
        Lake(tmp_path)


_WRITER = """
import sys
from khien.lake.store import Lake
from lake.made import many
root, app, batches = sys.argv[1], sys.argv[2], int(sys.argv[3])
lake = Lake(root)
print(sum(lake.append_events(many(10, f"{app}.{at}"), app=app, version=at) for at in range(batches)))
"""


def _start(code: str, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_writer_processes_of_one_app_and_of_others_lose_and_double_nothing(tmp_path: Path) -> None:
    writers = [_start(_WRITER, str(tmp_path), app, "8") for app in ("same", "same", "other", "third")]
    appended = sum(int(writer.communicate(timeout=60)[0]) for writer in writers)
    assert appended == 3 * 8
    positions = rows(tmp_path)["spool"].to_pylist()
    assert len(positions) == len(set(positions)) == 3 * 8 * 10


_FULL = """
import resource, signal, sys
from khien.lake.errors import LakeError
from khien.lake.store import Lake
from lake.made import many
lake = Lake(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
try:
    lake.append_events(many(5000, "0"), app="a", version=0)
except LakeError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(lake.append_events(many(5000, "0"), app="a", version=0))
"""


def test_a_disk_that_takes_no_more_is_told_and_the_batch_can_be_repeated(tmp_path: Path) -> None:
    said = _start(_FULL, str(tmp_path)).communicate(timeout=60)[0].splitlines()
    assert "cannot be written" in said[0]
    assert said[1] == "True"
    assert len(list(tmp_path.rglob("*.parquet"))) == 1
    assert check(Lake(tmp_path), deep=True).clean


_KILLED = """
import sys
from khien.lake.store import Lake
from lake.made import many
lake = Lake(sys.argv[1])
version = lake.version("a")
at = 0 if version is None else version + 1
while True:
    lake.append_events(many(2000, f"a.{at}"), app="a", version=at)
    print(at, flush=True)
    at += 1
"""


def test_a_writer_killed_at_any_moment_leaves_every_batch_whole_and_once(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    acknowledged = -1
    for round_ in range(5):
        writer = _start(_KILLED, str(root))
        assert writer.stdout is not None
        acknowledged = int(writer.stdout.readline())
        time.sleep(0.05 * round_)
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout.read().splitlines():
            acknowledged = int(line)
        writer.wait()
    lake = Lake(root)
    version = lake.version("a")
    assert version is not None
    assert version >= acknowledged
    positions = rows(root)["spool"].to_pylist()
    assert len(positions) == len(set(positions)) == (version + 1) * 2000
    assert check(lake, deep=True).clean
