"""Findings into the lake exactly once, wherever between the alerts and the lake the process ends."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.live_service import WHOAMI, whoami
from khien.alerts.live_finding import LiveFinding, finding_id
from khien.collect.spool import Parcel
from khien.flow.archive import FindingArchive, finding_rows
from khien.flow.detecting import ParcelDetector
from khien.flow.rulebook import Rulebook
from khien.flow.settings import FlowSettings
from khien.lake.schema import FINDINGS
from khien.lake.store import Lake


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> ParcelDetector:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "whoami.yml").write_text(WHOAMI)
    return ParcelDetector(Rulebook((folder,), "low", None).plan)


def findings(detector: ParcelDetector, sequence: int, *events: bytes) -> list[LiveFinding]:
    """The findings of a parcel, as the detecting worker makes them."""
    now = time.time_ns() // 1000
    out = detector.detect(Parcel("agents", "json", now, b"\n".join(events) + b"\n", len(events)))
    return [
        LiveFinding(finding_id(rule, 0, sequence, encoded.record), encoded.line(), "agents", "Unit", now, now)
        for encoded, rule in out.findings
    ]


def stored(folder: Path) -> list[str]:
    """The ids of all findings in the lake."""
    lake = Lake(str(folder / "lake"))
    files = [str(folder / "lake" / FINDINGS.name / each.path) for each in lake.files(FINDINGS)]
    if not files:
        return []
    rows = duckdb.connect().execute("select finding_id from read_parquet($1)", [files]).fetchall()
    return sorted(row[0] for row in rows)


@settings(max_examples=8, deadline=None)
@given(plan=st.lists(st.sampled_from(["flush", "crash"]), min_size=3, max_size=6))
def test_each_finding_is_there_once_over_any_crashes(
    plan: list[str], detector: ParcelDetector, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chosen = FlowSettings(folder=tmp_path_factory.mktemp("archive"), rules=())
    made = {n: findings(detector, n, whoami(f"{n}a"), whoami(f"{n}b")) for n in range(1, len(plan) + 1)}
    at = 0
    for step in [*plan, "flush"]:
        archive = FindingArchive(chosen, 0)  # as after each start
        for n in range(archive.stored + 1, min(at + 1, len(plan)) + 1):
            archive.add(n, made[n])
        at = min(at + 1, len(plan))
        if step == "flush":
            archive.flush()
            archive.flush()
    expected = sorted(each.id for several in made.values() for each in several)
    assert stored(chosen.folder) == expected


def test_what_is_in_the_lake_already_is_passed_over(detector: ParcelDetector, tmp_path: Path) -> None:
    chosen = FlowSettings(folder=tmp_path, rules=())
    made = findings(detector, 5, whoami("a"))
    for _ in range(2):
        archive = FindingArchive(chosen, 0)
        archive.add(5, made)
        archive.flush()
        assert archive.stored == 5
    assert len(stored(tmp_path)) == 1


def test_an_event_with_half_a_character_is_found_and_stored(detector: ParcelDetector, tmp_path: Path) -> None:
    made = findings(detector, 1, whoami("\ud800", User="\udfff", Computer="\ud800"), whoami("b"))
    assert len(made) == 2
    archive = FindingArchive(FlowSettings(folder=tmp_path, rules=()), 0)
    archive.add(1, made)
    archive.flush()
    assert len(stored(tmp_path)) == 2


@pytest.mark.parametrize("year", [1, 1999, 2999, 9999])
def test_a_finding_of_a_clock_that_must_be_wrong_is_filed_under_the_day_it_came(
    detector: ParcelDetector, year: int
) -> None:
    made = findings(detector, 1, whoami("a", TimeCreated=f"{year:04d}-01-01T00:00:00Z"), whoami("b"))
    days = finding_rows(made).column("day").to_pylist()
    today = datetime.fromtimestamp(made[0].received / 1e6, UTC).date()
    assert set(days) == {today}
