from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from khien.cli.lake import parse_size
from khien.errors import UsageError
from khien.lake.schema import EVENTS
from khien.lake.store import Lake
from lake.made import NOON, many


def khien(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "khien.cli.main", *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lake = Lake(tmp_path)
    for version in range(3):
        lake.append_events(many(10, str(version), NOON - dt.timedelta(days=40)), app="a", version=version)
    return tmp_path


def test_upkeep_from_the_command_line_compacts_vacuums_retains_and_shows(root: Path) -> None:
    assert "10" not in khien("lake", "info", "--lake", str(root)).stderr
    assert "merged 3 files" in khien("lake", "compact", "--lake", str(root)).stdout
    assert "deleted 3 files" in khien("lake", "vacuum", "--hours", "0", "--lake", str(root)).stdout
    shown = khien("lake", "info", "--lake", str(root)).stdout
    assert "windows-sysmon" in shown
    assert "30" in shown
    assert "removed 30 rows" in khien("lake", "retain", "--days", "30", "--lake", str(root)).stdout
    assert Lake(root).files(EVENTS) == []


def test_a_clean_lake_ends_with_0_and_one_that_is_not_with_3(root: Path) -> None:
    clean = khien("lake", "check", "--lake", str(root))
    assert (clean.returncode, clean.stdout.splitlines()[-1]) == (0, "clean")
    (root / "events" / Lake(root).files(EVENTS)[0].path).unlink()
    broken = khien("lake", "check", "--lake", str(root))
    assert broken.returncode == 3
    assert "the log names it, but it is missing" in broken.stdout


def test_a_folder_without_a_lake_is_told_and_left_alone(tmp_path: Path) -> None:
    done = khien("lake", "info", "--lake", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "there is no lake" in done.stderr
    assert not (tmp_path / "none").exists()


def test_retain_wants_to_know_what_to_keep(root: Path) -> None:
    done = khien("lake", "retain", "--lake", str(root))
    assert done.returncode == 2
    assert "Give --days, --size, or both" in done.stderr


@pytest.mark.parametrize(("text", "size"), [("128MB", 128_000_000), ("1.5 GB", 1_500_000_000), ("7", 7), ("2kb", 2000)])
def test_sizes_are_decimal(text: str, size: int) -> None:
    assert parse_size(text, "--size") == size


@pytest.mark.parametrize("text", ["", "much", "-1MB", "1XB"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--size"):
        parse_size(text, "--size")
