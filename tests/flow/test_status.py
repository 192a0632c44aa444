"""What processes say of themselves, and how others read it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from khien.flow.correlating import frontier
from khien.flow.metrics import ailments, expected
from khien.flow.settings import FlowSettings
from khien.flow.status import BOUNDS, ProcessStatus, Reporter, quantile, read_all

NOW = 1_800_000_000_000_000


def test_a_status_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = Reporter(tmp_path, "store-00")
    report.source("agents").events = 7
    report.spent("rows", 1.5)
    report.tick(force=True)
    (read,) = read_all(tmp_path)
    assert (read.name, read.sources["agents"].events, read.stages) == ("store-00", 7, {"rows": 1.5})


def test_a_status_is_not_written_more_often_than_asked(tmp_path: Path) -> None:
    report = Reporter(tmp_path, "store-00", every=60)
    report.tick(force=True)
    report.status.events = 9
    report.tick()
    assert read_all(tmp_path)[0].events == 0


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b'{"name": 5}'])
def test_a_damaged_status_is_left_out(tmp_path: Path, damage: bytes) -> None:
    Reporter(tmp_path, "store-00").tick(force=True)
    (tmp_path / "detect-00.json").write_bytes(damage)
    assert [status.name for status in read_all(tmp_path)] == ["store-00"]


def test_quantiles_are_the_upper_ends_of_their_classes(tmp_path: Path) -> None:
    report = Reporter(tmp_path, "detect-00")
    report.took(0.04, 90)
    report.took(0.4, 9)
    report.took(1_000, 1)
    report.took(-5, 0)
    latency = report.status.latency
    assert (quantile(latency, 0.5), quantile(latency, 0.95), quantile(latency, 1)) == (0.05, 0.5, float("inf"))
    assert quantile([], 0.95) == quantile([0] * len(BOUNDS), 0.95) == 0


def detecting(at: int, lag: int = 0, lag_seconds: float = 0.0) -> ProcessStatus:
    return ProcessStatus("detect-00", 1, at, at, lag=lag, lag_seconds=lag_seconds)


def test_correlations_come_as_far_as_the_lane_that_is_furthest_behind() -> None:
    assert frontier([detecting(NOW), detecting(NOW, 3, 40.0)], NOW) == NOW - 40_000_000
    assert frontier([detecting(NOW), detecting(NOW - 60_000_000)], NOW) == NOW - 62_000_000
    assert frontier([], NOW) == -1


def test_correlations_never_run_ahead_of_the_clock() -> None:
    assert frontier([detecting(NOW + 3_600_000_000)], NOW) == NOW


def test_what_ails_a_pipeline_is_said_by_process(tmp_path: Path) -> None:
    settings = FlowSettings(folder=tmp_path, rules=(), lanes=1)
    now = int(time.time() * 1e6)
    well = [ProcessStatus(name, 1, now, now) for name in expected(settings)]
    assert ailments(settings, well, now / 1e6) == []
    well[0].error = "no room"
    well[1].at = now - 120_000_000
    said = ailments(settings, well[:-1], now / 1e6)
    assert len(said) == 3
    assert "no room" in " ".join(said)
