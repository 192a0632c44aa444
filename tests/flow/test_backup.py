"""Backups of a running service, and services restored from them: nothing lost, nothing doubled."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from flow.live_service import KHIEN, LiveService, whoami
from khien.flow.backup import back_up
from khien.flow.restoring import restore
from khien.flow.settings import FlowSettings
from khien.lake.checking import check
from khien.lake.schema import EVENTS
from khien.lake.store import Lake
from khien.lake.upkeep import compact
from lake.made import events

pytestmark = pytest.mark.slow


def khien(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(KHIEN), *map(str, arguments)], capture_output=True, text=True)


def stages(live: LiveService) -> dict[str, float]:
    store = live.statuses().get("store-00")
    return store.stages if store else {}


class Load(threading.Thread):
    """Sends events and appends lines to a followed file until told to stop; what was acknowledged, and when."""

    def __init__(self, live: LiveService, file: Path) -> None:
        super().__init__(daemon=True)
        self.live, self.file = live, file
        self.acknowledged: list[tuple[float, str]] = []
        self.lines: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        attempt = 0
        while not self.ended.is_set():
            attempt += 1
            markers = [f"http-{attempt}-{n}" for n in range(100)]
            self.live.send(*map(whoami, markers))
            now = time.monotonic()
            self.acknowledged += [(now, marker) for marker in markers]
            lines = [f"file-{attempt}-{n}" for n in range(20)]
            with self.file.open("ab") as out:
                out.write(b"".join(whoami(line) + b"\n" for line in lines))
            self.lines += lines
            time.sleep(0.01)


@pytest.fixture
def loaded(tmp_path: Path) -> tuple[LiveService, Load]:
    file = tmp_path / "followed.log"
    file.touch()
    sources = f'[[source]]\nid = "followed"\nkind = "file"\nformat = "json"\npaths = ["{file}"]\n'
    live = LiveService(tmp_path / "data", sources=sources)
    live.start()
    load = Load(live, file)
    yield live, load
    load.ended.set()
    live.stop()


def test_a_backup_taken_under_load_comes_back_whole(loaded: tuple[LiveService, Load], tmp_path: Path) -> None:
    live, load = loaded
    load.start()
    live.wait_for("some parcels", lambda: len(load.acknowledged) > 2_000, 60)
    first = khien("backup", tmp_path / "backup", "--data", live.folder)
    assert first.returncode == 0, first.stderr
    time.sleep(3)
    began = time.monotonic()
    taken = khien("backup", tmp_path / "backup", "--data", live.folder)
    assert taken.returncode == 0, taken.stderr
    time.sleep(1)
    load.ended.set()
    load.join()
    live.kill_all()
    live.process = None

    folder = tmp_path / "restored"
    done = khien("restore", tmp_path / "backup", "--data", folder)
    assert done.returncode == 0, done.stderr
    assert khien("lake", "check", "--deep", "--lake", folder / "lake").returncode == 0
    again = LiveService(folder, sources=live.sources.read_text().partition('senders = ["127.0.0.0/8"]\n')[2])
    again.start()
    again.send(*[whoami(f"new-{n}") for n in range(50)])
    again.wait_for("the followed file", lambda: set(load.lines) <= set(again.markers()), 60)
    again.stop()

    stored, found = again.markers(), again.found_markers()
    wanted = [marker for at, marker in load.acknowledged if at < began]
    assert len(wanted) > 1_000
    wanted += [*load.lines, *(f"new-{n}" for n in range(50))]
    assert [marker for marker in wanted if stored[marker] != 1] == []
    assert [marker for marker in wanted if found[marker] != 1] == []
    assert {marker for marker in stored if stored[marker] > 1} == set()
    assert {marker for marker in found if found[marker] > 1} == set()
    assert again.finding_count() == sum(stored.values()) == sum(found.values())
    check = khien("lake", "check", "--lake", folder / "lake")
    assert check.returncode == 0, check.stdout


def test_a_backup_of_a_stopped_service_and_a_second_one_that_copies_only_what_is_new(tmp_path: Path) -> None:
    live = LiveService(tmp_path / "data")
    live.start()
    live.send(*[whoami(f"{n}") for n in range(300)])
    live.stop()
    assert khien("backup", tmp_path / "backup", "--data", live.folder).returncode == 0
    lake = {path: path.stat().st_mtime_ns for path in (tmp_path / "backup" / "lake").rglob("*.parquet")}
    assert khien("backup", tmp_path / "backup", "--data", live.folder).returncode == 0
    assert lake
    assert lake == {path: path.stat().st_mtime_ns for path in (tmp_path / "backup" / "lake").rglob("*.parquet")}
    assert len(list((tmp_path / "backup").glob("state-*"))) == 1
    assert not (live.folder / "spool" / "held-for-backup").exists()
    assert khien("restore", tmp_path / "backup", "--data", tmp_path / "restored").returncode == 0
    again = LiveService(tmp_path / "restored")
    assert sum(again.markers().values()) == again.finding_count() == 300


def test_damage_and_wrong_folders_are_told_and_change_nothing(tmp_path: Path) -> None:
    live = LiveService(tmp_path / "data")
    live.start()
    live.send(whoami("one"))
    live.stop()
    assert khien("backup", tmp_path / "backup", "--data", live.folder).returncode == 0

    inside = khien("backup", live.folder / "backup", "--data", live.folder)
    assert (inside.returncode, "cannot lie in what it backs up" in inside.stderr) == (2, True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").touch()
    other = khien("backup", tmp_path / "other", "--data", live.folder)
    assert (other.returncode, "holds other things" in other.stderr) == (2, True)
    full = khien("restore", tmp_path / "backup", "--data", live.folder)
    assert (full.returncode, "not empty" in full.stderr) == (2, True)
    none = khien("restore", tmp_path / "other", "--data", tmp_path / "new")
    assert (none.returncode, "no backup here" in none.stderr) == (2, True)

    alerts = next((tmp_path / "backup").glob("state-*/alerts.db"))
    raw = bytearray(alerts.read_bytes())
    raw[5000] ^= 1
    alerts.write_bytes(raw)
    damaged = khien("restore", tmp_path / "backup", "--data", tmp_path / "new")
    assert (damaged.returncode, "is damaged" in damaged.stderr) == (2, True)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_lake_newer_than_the_spool_makes_no_new_event_look_old(tmp_path: Path) -> None:
    """As when the lake lies on other storage, and only alerts and spool come from the backup."""
    live = LiveService(tmp_path / "data", "--lake", str(tmp_path / "data" / "lake"))
    live.start()
    live.send(whoami("early"))
    live.wait_for("the row", lambda: "lake" in stages(live), 30)
    assert khien("backup", tmp_path / "backup", "--data", live.folder).returncode == 0
    for n in range(30):
        live.send(whoami(f"later-{n}"))
    live.stop()

    folder = tmp_path / "restored"
    manifest = tmp_path / "backup" / "backup.json"
    manifest.write_text(manifest.read_text().replace('"lake": ""', f'"lake": "{live.folder / "lake"}"'))
    assert khien("restore", tmp_path / "backup", "--data", folder).returncode == 0
    again = LiveService(folder, "--lake", str(live.folder / "lake"))
    again.start()
    again.send(*[whoami(f"new-{n}") for n in range(5)])
    again.stop()
    stored = live.markers()
    assert [stored[f"new-{n}"] for n in range(5)] == [1] * 5
    assert [stored[f"later-{n}"] for n in range(30)] == [1] * 30


def without_its_spool(tmp_path: Path) -> LiveService:
    """A stopped service with ten events in lake and alerts, whose spool is lost."""
    live = LiveService(tmp_path / "data")
    live.start()
    for n in range(10):
        live.send(whoami(f"old-{n}"))
    live.stop()
    shutil.rmtree(live.folder / "spool")
    return live


def test_a_lost_spool_is_put_right_by_a_backup_and_its_restore(tmp_path: Path) -> None:
    live = without_its_spool(tmp_path)
    assert khien("backup", tmp_path / "backup", "--data", live.folder).returncode == 0
    assert khien("restore", tmp_path / "backup", "--data", tmp_path / "restored").returncode == 0
    again = LiveService(tmp_path / "restored")
    again.start()
    again.send(whoami("new"))
    again.stop()
    assert again.markers()["new"] == again.found_markers()["new"] == 1
    assert again.finding_count() == sum(again.markers().values()) == 11


def test_a_new_spool_beside_an_old_lake_goes_on_after_it(tmp_path: Path) -> None:
    live = without_its_spool(tmp_path)
    (live.folder / "alerts.db").rename(tmp_path / "lost.db")  # the lake alone knows the numbers
    live.start()
    live.send(*[whoami(f"new-{n}") for n in range(3)])
    live.stop()
    assert "is older than the lake" in live.log
    assert list(live.markers().values()) == list(live.found_markers().values()) == [1] * 13
    assert live.finding_count() == 3


def test_a_lake_with_checkpoints_sketches_and_upkeep_comes_back(tmp_path: Path) -> None:
    settings = FlowSettings(folder=tmp_path / "data", rules=())
    lake = Lake(settings.lake_root)
    for number in range(1, 131):  # Delta writes a checkpoint every hundred commits
        lake.append_events(events({"spool": f"0-{number}"}), app="khien-lane-00", version=number)
    compact(lake)
    lake.append_events(events({"spool": "0-131"}), app="khien-lane-00", version=131)
    back_up(settings, tmp_path / "backup")
    log = tmp_path / "backup" / "lake" / "events" / "_delta_log"
    assert not (log / f"{0:020d}.json").exists()
    assert any(log.glob("*.checkpoint*.parquet"))
    restore(tmp_path / "backup", tmp_path / "restored")
    again = Lake(tmp_path / "restored" / "lake", create=False)
    assert again.version("khien-lane-00") == 131
    assert sum(file.rows for file in again.files(EVENTS)) == 131
    assert check(again, deep=True).faults == []
    again.append_events(events({"spool": "0-132"}), app="khien-lane-00", version=132)
    assert check(again).faults == []
