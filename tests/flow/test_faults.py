"""Faults under load: every acknowledged event and its finding exactly once, and the lake is clean.

KHIEN_KILLS sets how often processes are killed at random (default 5; the long run has 50).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flow.live_service import KHIEN, LiveService, whoami
from khien.collect.spool import Parcel
from khien.events.mapping import Classifier
from khien.flow.rows import RowMaker
from khien.lake.schema import EVENTS
from khien.lake.store import Lake

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("KHIEN_KILLS", "5"))
BATCH = 200


class Sender(threading.Thread):
    """Sends batches of events until told to stop. Every attempt has markers of its own."""

    def __init__(self, service: LiveService, name: str) -> None:
        super().__init__(daemon=True)
        self.service = service
        self.label = name
        self.acknowledged: list[str] = []
        self.unsure: set[str] = set()
        self.refused: list[int] = []
        self.ended = threading.Event()

    def run(self) -> None:
        attempt = 0
        while not self.ended.is_set():
            attempt += 1
            markers = [f"{self.label}-{attempt}-{n}" for n in range(BATCH)]
            try:
                status, _ = self.service.request(
                    "POST", "/v1/ingest", b"\n".join(whoami(each) for each in markers) + b"\n"
                )
            except (OSError, ValueError, EOFError):
                self.unsure.update(markers)
                time.sleep(0.2)
                continue
            except Exception:  # a torn answer
                self.unsure.update(markers)
                continue
            if status == 200:
                self.acknowledged += markers
            else:
                self.refused.append(status)
                if status not in (429, 503):
                    self.unsure.update(markers)
            time.sleep(0.02)

    def __enter__(self) -> Sender:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join(30)


def all_there(live: LiveService, *senders: Sender) -> None:
    """Every acknowledged event exactly once in the lake, its finding once there and once in the alerts."""
    acknowledged = [marker for sender in senders for marker in sender.acknowledged]
    sent = {*acknowledged, *(marker for sender in senders for marker in sender.unsure)}
    stored, found = live.markers(), live.found_markers()
    assert [marker for marker in acknowledged if stored[marker] != 1] == []
    assert [marker for marker in acknowledged if found[marker] != 1] == []
    assert {marker for marker in stored if stored[marker] > 1 or marker not in sent} == set()
    assert {marker for marker in found if found[marker] > 1} == set()
    assert live.finding_count() == sum(stored.values())
    live.check_lake()


def test_random_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    draw = random.Random(20261124)
    live = LiveService(tmp_path / "data")
    live.start()
    senders = [Sender(live, name) for name in ("a", "b")]
    for sender in senders:
        sender.start()
    try:
        for _ in range(KILLS):
            time.sleep(draw.uniform(0.3, 2.5))
            children = live.children()
            if children:
                victim = draw.choice(children)
                os.kill(victim.pid, signal.SIGKILL)
        time.sleep(1.0)
    finally:
        for sender in senders:
            sender.ended.set()
        for sender in senders:
            sender.join(30)
    live.wait_ready()
    live.stop()

    assert sum(len(sender.acknowledged) for sender in senders) > 1_000
    all_there(live, *senders)


def test_a_kill_of_everything_at_once_loses_nothing(tmp_path: Path) -> None:
    live = LiveService(tmp_path / "data")
    live.start()
    for n in range(20):
        live.send(*[whoami(f"{n}-{at}") for at in range(100)])
    live.kill_all()
    live.process = None
    live.start()
    live.stop()
    assert len(live.markers()) == sum(live.markers().values()) == 2_000
    assert sum(live.found_markers().values()) == live.finding_count() == 2_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "none", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place: Path) -> None:
    """Leave not a byte free."""
    with (place / "ballast").open("wb", buffering=0) as out:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                continue


def test_a_full_disk_makes_senders_wait_and_loses_nothing(small_disk: Path) -> None:
    with LiveService(small_disk / "data", min_free=8 << 20) as live:
        with Sender(live, "a") as sender:
            live.wait_for("some events", lambda: len(sender.acknowledged) > 1_000)
            fill(small_disk)
            live.wait_for("the refusal", lambda: len(sender.refused) > 5, 20)
            time.sleep(3)
            refused, taken = len(sender.refused), len(sender.acknowledged)
            assert set(sender.refused) <= {429, 503}
            assert live.process is not None
            assert live.process.poll() is None
            (small_disk / "ballast").unlink()
            live.wait_for("the disk's room is used again", lambda: len(sender.acknowledged) > taken + 1_000, 60)
        assert refused > 5
        live.wait_for("the rows", lambda: sum(live.markers().values()) == len(sender.acknowledged), 60)
        assert live.stop() == 0
        all_there(live, sender)


def test_a_worker_that_stands_still_fills_the_spool_and_catches_up(tmp_path: Path) -> None:
    with LiveService(tmp_path / "data", spool_bytes=200_000, min_free=0) as live:
        live.send(whoami("first"))
        live.wait_for("the first row", lambda: live.markers()["first"] == 1)
        storing = live.worker("store-00")
        storing.suspend()
        with Sender(live, "a") as sender:
            live.wait_for("a full spool", lambda: len(sender.refused) > 5, 60)
            assert set(sender.refused) == {429}
            before = live.finding_count()
            assert before >= len(sender.acknowledged) // 2  # detection did not wait
            storing.resume()
            taken = len(sender.acknowledged)
            live.wait_for("room in the spool", lambda: len(sender.acknowledged) > taken + 1_000, 60)
        sender.acknowledged.append("first")
        assert live.stop() == 0
        all_there(live, sender)


def test_a_worker_that_hangs_is_ended_and_its_work_done(tmp_path: Path) -> None:
    with LiveService(tmp_path / "data", hangs_after=6.0) as live:
        live.send(whoami("first"))
        live.wait_for("the first finding", lambda: live.finding_count() == 1)
        hanging = live.worker("detect-00")
        hanging.suspend()
        live.send(whoami("second"))
        live.wait_for("its end", lambda: "process hangs and is ended" in live.log, 30)
        live.wait_for("the second finding", lambda: live.finding_count() == 2, 30)
        assert live.statuses()["detect-00"].pid != hanging.pid
        assert live.log.count("process hangs and is ended") == 1
        assert live.stop() == 0
        assert live.found_markers() == live.markers() == {"first": 1, "second": 1}
        live.check_lake()


@pytest.mark.parametrize("where", ["tail", "middle"])
def test_a_damaged_spool_costs_no_more_than_what_is_damaged(tmp_path: Path, where: str) -> None:
    live = LiveService(tmp_path / "data")
    live.start()
    live.wait_for("the workers", lambda: {"store-00", "detect-00"} <= set(live.statuses()))
    for name in ("store-00", "detect-00"):
        live.worker(name).suspend()
    for n in range(20):
        live.send(*[whoami(f"{n}-{at}") for at in range(50)])
    live.kill_all()
    live.process = None
    segment = max((live.folder / "spool" / "lane-00").glob("*.seg"))
    content = bytearray(segment.read_bytes())
    if where == "tail":
        content += content[: len(content) // 30]  # a frame that was being written
    else:
        content[len(content) // 2] ^= 0xFF
    segment.write_bytes(content)
    live.start()
    live.send(whoami("afterwards"))
    live.stop()
    stored = live.markers()
    lost = {f"{n}-{at}" for n in range(20) for at in range(50)} - set(stored)
    assert {marker.split("-")[0] for marker in lost} == (set() if where == "tail" else {min(lost).split("-")[0]})
    assert stored["afterwards"] == 1
    assert set(stored.values()) == {1}
    assert live.found_markers() == stored
    assert live.finding_count() == len(stored)
    assert where == "tail" or "damage" in live.log
    live.check_lake()


def test_upkeep_and_another_writer_beside_the_service_lose_and_double_nothing(tmp_path: Path) -> None:
    with LiveService(tmp_path / "data") as live:
        live.send(whoami("first"))
        live.wait_for("the lake", lambda: live.markers()["first"] == 1)
        rows, lake, written = RowMaker(Classifier.load()), Lake(str(live.folder / "lake")), 0
        with Sender(live, "a") as sender:
            until = time.monotonic() + 10
            while time.monotonic() < until:
                command = [str(KHIEN), "lake", "compact", "--lake", str(live.folder / "lake")]
                compacting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                while compacting.poll() is None:
                    written += 1
                    parcel = Parcel("other", "json", time.time_ns() // 1000, b'{"message": "of another writer"}\n', 1)
                    lake.append_events(rows.table(9, written, parcel, ""), app="another-writer", version=written)
                    time.sleep(0.1)
                assert compacting.returncode == 0, compacting.communicate()[0]
        sender.acknowledged.append("first")
        assert live.stop() == 0
        all_there(live, sender)
        others = live.rows(EVENTS, "source")
        assert [source for (source,) in others].count("other") == written > 5
