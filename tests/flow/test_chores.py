"""The lake's upkeep runs by the clock, one chore at a time."""

from __future__ import annotations

import time
from pathlib import Path

from khien.flow.chores import Chore, Chores, chores
from khien.flow.settings import FlowSettings
from khien.lake.store import Lake


def settings(folder: Path, **more: object) -> FlowSettings:
    return FlowSettings(folder=folder, rules=(), **more)  # type: ignore[arg-type]


def test_retention_is_a_chore_only_where_something_bounds_it(tmp_path: Path) -> None:
    names = {chore.name for chore in chores(settings(tmp_path, keep_days=0))}
    assert names == {"compact", "vacuum", "check"}
    kept = next(c for c in chores(settings(tmp_path, keep_days=30, keep_size="5GB")) if c.name == "retain")
    assert kept.arguments == ("--lake", str(tmp_path / "lake"), "--days", "30", "--size", "5GB")


def test_due_chores_run_one_after_another_and_come_again(tmp_path: Path) -> None:
    made = settings(tmp_path)
    Lake(made.lake_root)
    lake = ("--lake", made.lake_root)
    work = Chores(made, [Chore("compact", lake, 3600, 0), Chore("check", lake, 3600, 0)])
    seen = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(seen) < 2:
        work.look()
        if work.running is not None and work.running[0].name not in seen:
            seen.append(work.running[0].name)
        time.sleep(0.05)
    assert seen == ["compact", "check"]
    assert all(chore.due > 3000 for chore in work.chores)
    work.stop()
    assert work.running is None
