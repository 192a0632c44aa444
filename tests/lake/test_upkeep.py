from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khien.lake import upkeep
from khien.lake.checking import check
from khien.lake.errors import ConflictError
from khien.lake.merging import merge
from khien.lake.schema import EVENTS
from khien.lake.store import Lake
from lake.made import NOON, events, findings, many

TODAY = dt.date(2026, 11, 20)
LATER = dt.date(2026, 12, 1)


def positions(root: Path) -> list[str]:
    return sorted(DeltaTable(root / "events").to_pyarrow_table(columns=["spool"])["spool"].to_pylist())


def filled(root: Path, batches: int, start: dt.datetime = NOON) -> Lake:
    lake = Lake(root)
    for version in range(batches):
        lake.append_events(many(20, str(version), start + dt.timedelta(seconds=version * 7)), app="a", version=version)
    return lake


def test_compacting_a_closed_day_leaves_one_file_in_order_of_time(tmp_path: Path) -> None:
    lake = filled(tmp_path, 5)
    before = positions(tmp_path)
    done = upkeep.compact(lake, today=LATER)
    assert (done.files_before, done.files_after) == (5, 1)
    assert positions(tmp_path) == before
    (file,) = lake.files(EVENTS)
    times = pq.ParquetFile(tmp_path / "events" / file.path).read(["time"])["time"].to_pylist()
    assert times == sorted(times)
    assert file.rows == 100
    assert upkeep.compact(lake, today=LATER).files_before == 0
    assert check(lake, deep=True).clean


def test_compacting_moves_no_version_of_an_app(tmp_path: Path) -> None:
    lake = filled(tmp_path, 5)
    upkeep.compact(lake, today=LATER)
    assert lake.version("a") == 4
    assert not lake.append_events(many(20, "4"), app="a", version=4)


def test_files_of_the_current_day_wait_until_there_are_several(tmp_path: Path) -> None:
    lake = filled(tmp_path, 3)
    assert upkeep.compact(lake, today=TODAY).files_before == 0
    for version in range(3, 6):
        lake.append_events(many(20, str(version)), app="a", version=version)
    assert upkeep.compact(lake, today=TODAY).files_after == 1


def test_files_are_merged_up_to_the_target_and_not_beyond(tmp_path: Path) -> None:
    lake = filled(tmp_path, 6)
    size = max(file.size for file in lake.files(EVENTS))
    upkeep.compact(lake, target=size * 3, today=LATER)
    assert len(lake.files(EVENTS)) == 2


def test_a_merge_opens_a_bounded_number_of_files_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("khien.lake.upkeep._MOST_FILES", 3)
    lake = filled(tmp_path, 7)
    counts = []
    for _ in range(3):
        upkeep.compact(lake, today=LATER)
        counts.append(len(lake.files(EVENTS)))
    assert counts == [3, 1, 1]
    assert len(positions(tmp_path)) == 140


def test_events_that_are_large_make_smaller_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("khien.lake.merging._MOST_BYTES", 100_000)
    lake = Lake(tmp_path)
    for version in range(3):
        lake.append_events(many(50, str(version), raw="x" * 10_000), app="a", version=version)
    upkeep.compact(lake, today=LATER)
    (file,) = lake.files(EVENTS)
    metadata = pq.read_metadata(tmp_path / "events" / file.path)
    assert metadata.num_rows == 150
    assert metadata.num_row_groups > 10
    assert check(lake, deep=True).clean


def test_days_and_log_sources_are_not_mixed(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for version in range(4):
        lake.append_events(
            pa.concat_tables(
                [
                    many(5, f"a{version}"),
                    many(5, f"b{version}", logsource="linux-sshd"),
                    many(5, f"c{version}", NOON + dt.timedelta(days=1)),
                ]
            ),
            app="a",
            version=version,
        )
    upkeep.compact(lake, today=LATER)
    assert sorted(tuple(file.partition.values()) for file in lake.files(EVENTS)) == [
        ("2026-11-20", "linux-sshd"),
        ("2026-11-20", "windows-sysmon"),
        ("2026-11-21", "windows-sysmon"),
    ]
    assert check(lake).clean


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.integers(0, 200), min_size=1, max_size=40), min_size=2, max_size=5))
def test_rows_in_any_order_of_time_are_merged_into_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]]
) -> None:
    root = tmp_path_factory.mktemp("lake")
    lake = Lake(root)
    for version, seconds in enumerate(batches):
        rows = [{"time": NOON + dt.timedelta(seconds=s), "spool": f"{version}:{at}"} for at, s in enumerate(seconds)]
        lake.append_events(events(*rows), app="a", version=version)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("khien.lake.merging.ROW_GROUP", 16)
        patch.setattr("khien.lake.files.ROW_GROUP", 16)
        upkeep.compact(lake, today=LATER)
    (file,) = lake.files(EVENTS)
    reader = pq.ParquetFile(root / "events" / file.path)
    times = reader.read(["time"])["time"].to_pylist()
    assert times == sorted(times)
    assert sorted(s for batch in batches for s in batch) == [(each - NOON).seconds for each in times]
    assert all(reader.metadata.row_group(at).num_rows <= 16 for at in range(reader.num_row_groups))


def test_findings_are_merged_too_those_without_a_time_last(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for version in range(3):
        rows = [{"finding_id": f"{version}a", "tags": ["t"]}, {"finding_id": f"{version}b", "time": None, "day": TODAY}]
        lake.append_findings(findings(*rows), app="a", version=version)
    assert upkeep.compact(lake, today=LATER).files_after == 1
    table = DeltaTable(tmp_path / "findings").to_pyarrow_table()
    assert sorted(table["finding_id"].to_pylist()) == ["0a", "0b", "1a", "1b", "2a", "2b"]
    assert table["time"].to_pylist()[3:] == [None] * 3
    assert check(lake, deep=True).clean


def test_two_processes_never_replace_the_same_files(tmp_path: Path) -> None:
    first = filled(tmp_path, 3)
    second = Lake(tmp_path)
    mark = first.mark(EVENTS)
    files = second.files(EVENTS)
    removed = [file.removal(data_change=False) for file in files]
    first.replace(EVENTS, mark, [merge(first.storage, EVENTS, files)], removed)
    with pytest.raises(ConflictError):
        second.replace(EVENTS, mark, [merge(second.storage, EVENTS, files)], removed)
    assert len(positions(tmp_path)) == 60


def test_a_merge_that_loses_against_another_leaves_the_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = filled(tmp_path, 3)

    def meanwhile(*given: object) -> object:
        monkeypatch.undo()
        upkeep.compact(Lake(tmp_path), today=LATER)
        return merge(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("khien.lake.upkeep.merge", meanwhile)
    assert upkeep.compact(lake, today=LATER).conflicts == 1
    assert len(positions(tmp_path)) == 60
    assert check(lake).clean


_UPKEEP = """
import datetime, sys
from khien.lake import upkeep
from khien.lake.store import Lake
lake = Lake(sys.argv[1])
for at in range(6):
    upkeep.compact(lake, today=datetime.date(2026, 12, 1))
"""
_WRITER = """
import sys
from khien.lake.store import Lake
from lake.made import many
lake = Lake(sys.argv[1])
for at in range(12):
    lake.append_events(many(30, f"{sys.argv[2]}.{at}"), app=sys.argv[2], version=at)
"""


def test_compaction_beside_writers_and_another_compaction_keeps_every_row_once(tmp_path: Path) -> None:
    Lake(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], env=environment)
        for code, name in ((_WRITER, "w1"), (_WRITER, "w2"), (_UPKEEP, ""), (_UPKEEP, ""))
    ]
    assert [process.wait(timeout=90) for process in processes] == [0, 0, 0, 0]
    assert len(positions(tmp_path)) == len(set(positions(tmp_path))) == 2 * 12 * 30
    assert check(Lake(tmp_path), deep=True).clean


def test_upkeep_killed_at_any_moment_leaves_the_lake_whole(tmp_path: Path) -> None:
    filled(tmp_path, 12)
    code = _UPKEEP.replace("for at", 'print("begun", flush=True)\nfor at')
    for round_ in range(4):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.015 * round_)
        process.kill()
        process.wait()
        assert len(positions(tmp_path)) == len(set(positions(tmp_path))) == 240
        assert check(Lake(tmp_path), deep=True).clean


def test_rows_older_than_the_days_to_keep_go(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for age in range(5):
        day = NOON - dt.timedelta(days=age)
        lake.append_events(many(4, str(age), day), app="a", version=age)
        lake.append_findings(findings({"time": day}), app="a", version=age)
    gone = upkeep.retain(lake, days=2, today=TODAY)
    assert (gone.files, gone.rows) == (4, 10)
    assert gone.days == [dt.date(2026, 11, 16), dt.date(2026, 11, 17)]
    assert sorted({str(file.day) for file in lake.files(EVENTS)}) == ["2026-11-18", "2026-11-19", "2026-11-20"]
    assert upkeep.retain(lake, days=2, today=TODAY).files == 0


def test_the_oldest_days_go_until_the_lake_is_small_enough_but_never_today(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for age in range(4):
        lake.append_events(many(4, str(age), NOON - dt.timedelta(days=age)), app="a", version=age)
    sizes = [file.size for file in lake.files(EVENTS)]
    assert upkeep.retain(lake, size=sum(sizes), today=TODAY).files == 0
    assert upkeep.retain(lake, size=sum(sizes) - 1, today=TODAY).days == [dt.date(2026, 11, 17)]
    upkeep.retain(lake, size=0, today=TODAY)
    assert [str(file.day) for file in lake.files(EVENTS)] == ["2026-11-20"]


def test_vacuum_deletes_what_no_version_needs_and_nothing_else(tmp_path: Path) -> None:
    lake = filled(tmp_path, 4)
    orphan = tmp_path / "events" / "day=2026-11-20" / "logsource=windows-sysmon" / "part-orphan.parquet"
    orphan.write_bytes(b"half a file")
    lone = tmp_path / "events" / "_sketch" / "part-gone.sketch"
    lone.parent.mkdir(exist_ok=True)
    lone.write_bytes(b"")
    upkeep.compact(lake, today=LATER)
    assert upkeep.vacuum(lake, hours=24) == []
    assert orphan.exists()
    gone = upkeep.vacuum(lake, hours=0)
    assert len(gone) == 6
    assert not orphan.exists()
    assert not lone.exists()
    assert len(positions(tmp_path)) == 80
    assert check(lake, deep=True).clean


def test_vacuum_spares_what_a_running_query_may_still_read(tmp_path: Path) -> None:
    lake = filled(tmp_path, 4)
    old = [tmp_path / "events" / file.path for file in lake.files(EVENTS)]
    for path in old:
        os.utime(path, (time.time() - 10 * 86_400,) * 2)
    upkeep.compact(lake, today=LATER)
    upkeep.vacuum(lake, hours=1)
    assert all(path.exists() for path in old)
