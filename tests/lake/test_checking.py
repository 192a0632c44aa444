from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from khien.lake.checking import check
from khien.lake.schema import EVENTS
from khien.lake.store import Lake
from lake.made import findings, many


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    lake.append_events(many(500, "0"), app="a", version=0)
    lake.append_findings(findings({"finding_id": "one"}), app="a", version=0)
    return lake


def data_file(lake: Lake, root: Path) -> Path:
    return root / "events" / lake.files(EVENTS)[0].path


def test_a_whole_lake_is_clean(lake: Lake) -> None:
    report = check(lake, deep=True)
    assert (report.clean, report.files, report.rows, report.orphans) == (True, 2, 501, [])


def test_a_missing_file_is_named(lake: Lake, tmp_path: Path) -> None:
    data_file(lake, tmp_path).unlink()
    (fault,) = check(lake).faults
    assert "missing" in fault
    assert "events/day=2026-11-20" in fault


def test_a_torn_file_is_named(lake: Lake, tmp_path: Path) -> None:
    path = data_file(lake, tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    (fault,) = check(lake).faults
    assert "bytes, the log says" in fault


def test_a_file_of_the_right_size_without_its_end_is_named(lake: Lake, tmp_path: Path) -> None:
    path = data_file(lake, tmp_path)
    path.write_bytes(path.read_bytes()[:-100] + b"\0" * 100)
    (fault,) = check(lake).faults
    assert "cannot be read" in fault


def test_flipped_bytes_in_the_middle_are_found_by_the_deep_check(lake: Lake, tmp_path: Path) -> None:
    path = data_file(lake, tmp_path)
    data = bytearray(path.read_bytes())
    metadata = pq.read_metadata(path)
    column = metadata.row_group(0).column(metadata.schema.names.index("event"))
    begin = column.data_page_offset + 60
    data[begin : begin + 40] = bytes(40)
    path.write_bytes(bytes(data))
    assert not check(lake, deep=True).clean


def test_another_file_in_its_place_is_named(lake: Lake, tmp_path: Path) -> None:
    path = data_file(lake, tmp_path)
    table = pq.ParquetFile(path).read().slice(0, 10)
    pq.write_table(table, path)
    assert not check(lake).clean


def test_rows_with_the_same_spool_position_are_named(lake: Lake) -> None:
    lake.append_events(many(2, "0"), app="b", version=0)
    faults = check(lake).faults
    assert faults == ["events: 2 rows have the spool '0:0'", "events: 2 rows have the spool '0:1'"]


def test_findings_with_the_same_id_are_named(lake: Lake) -> None:
    lake.append_findings(findings({"finding_id": "one"}), app="b", version=0)
    assert check(lake).faults == ["findings: 2 rows have the finding_id 'one'"]


def test_rows_without_a_spool_position_are_no_doubles(lake: Lake) -> None:
    lake.append_events(many(5, "x", spool=None), app="b", version=0)
    assert check(lake).clean


def test_rows_of_another_day_are_named(lake: Lake) -> None:
    lake.append_events(many(3, "wrong", day=dt.date(2026, 11, 19)), app="b", version=0)
    (fault,) = check(lake).faults
    assert "it has rows of 2026-11-20" in fault


def test_orphans_are_listed_and_do_no_harm(lake: Lake, tmp_path: Path) -> None:
    orphan = data_file(lake, tmp_path).with_name("part-left-behind.parquet")
    orphan.write_bytes(b"PAR1 half")
    report = check(lake)
    assert report.clean
    assert report.orphans == [str(orphan.relative_to(tmp_path))]
