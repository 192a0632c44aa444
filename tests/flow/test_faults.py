"""kill -9 of any process at random moments under load: every acknowledged event and its finding exactly once.

KHIEN_KILLS sets how often (default 5; the long run has 50).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from flow.live_service import KHIEN, LiveService, whoami

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
            elif status not in (429, 503):
                self.unsure.update(markers)
            time.sleep(0.02)


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

    acknowledged = [marker for sender in senders for marker in sender.acknowledged]
    unsure = {marker for sender in senders for marker in sender.unsure}
    assert len(acknowledged) > 1_000
    stored, found = live.markers(), live.found_markers()
    assert [marker for marker in acknowledged if stored[marker] != 1] == []
    assert [marker for marker in acknowledged if found[marker] != 1] == []
    sent = {*acknowledged, *unsure}
    assert {marker for marker in stored if stored[marker] > 1 or marker not in sent} == set()
    assert {marker for marker in found if found[marker] > 1} == set()
    assert live.finding_count() == sum(stored.values())
    check = subprocess.run(
        [str(KHIEN), "lake", "check", "--lake", str(live.folder / "lake")], capture_output=True, text=True
    )
    assert check.returncode == 0, check.stdout + check.stderr


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
