from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from khien.alerts.selectors import AlertQuery
from khien.alerts.sink import SqliteAlerts
from khien.flow.metrics import expected
from khien.flow.settings import FlowSettings
from khien.flow.status import ProcessStatus, SourceStatus
from khien.flow.watching import Watching

MINUTE = 60.0
START = 1_790_000_000_000_000


class Service:
    """A service as it looks from outside: status files, a sources file, an alerts' database, and a clock of its own."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = FlowSettings(folder=folder, rules=(), sources=folder / "sources.toml", min_free=0, **settings)
        self.settings.status.mkdir(parents=True)
        self.settings.spool.mkdir()
        self.configure()
        self.sink = SqliteAlerts(self.settings.alerts)
        self.restarts: dict[str, int] = {}
        self.clock = 1000.0
        self.source = SourceStatus()
        self.restart()

    def configure(self, more: str = "") -> None:
        file = self.settings.folder / "sources.toml"
        file.write_text(f'[[source]]\nid = "web"\nkind = "file"\nunit = "Sample unit"\npaths = ["/x"]\n{more}')

    def restart(self) -> None:
        self.watching = Watching(self.settings, self.sink, lambda: self.restarts)

    @property
    def now(self) -> int:
        return START + int(self.clock * 1_000_000)

    def receive(self, events: int = 1, unparsed: int = 0, skew: float = 0.0) -> None:
        self.source.events += events
        self.source.unparsed += unparsed
        self.source.last_received = self.now
        self.source.last_time = self.now - int(skew * 1e6)
        self.source.skew = skew

    def after(self, seconds: float, silent: str = "") -> list[str]:
        """Let time pass, with signs of life from all processes but one; the rules of all alerts so far, a finding each."""
        self.clock += seconds
        for name in expected(self.settings):
            if name != silent:
                sources = {"web": self.source} if name.startswith("store") or name == "collect" else {}
                status = ProcessStatus(name, 1, self.now, START, sources=sources)
                (self.settings.status / f"{name}.json").write_bytes(msgspec.json.encode(status))
        self.watching.look(self.now, self.clock)
        return self.raised()

    def raised(self) -> list[str]:
        return [finding["rule_id"] for finding in self.findings()]

    def findings(self) -> list[dict[str, Any]]:
        with self.sink.database.reading() as connection:
            rows = connection.execute("SELECT finding FROM samples ORDER BY n").fetchall()
        return [json.loads(msgspec.msgpack.decode(row[0])[1]) for row in rows]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "live")
    yield made
    made.sink.close()


def test_a_source_that_falls_silent_raises_one_alarm_until_it_was_heard_again(service: Service) -> None:
    service.receive()
    last = service.now
    assert service.after(1) == []
    assert service.after(14 * MINUTE) == []
    assert service.after(2 * MINUTE) == ["khien-source-silent"]
    assert service.after(60 * MINUTE) == ["khien-source-silent"]
    (finding,) = service.findings()
    assert (finding["host"], finding["level"], finding["event"]["subject"]) == ("web", "medium", "web")
    assert finding["time"] == finding["event"]["last_received"]
    assert service.sink.alerts(AlertQuery()).alerts[0].unit == "Sample unit"
    service.receive()
    assert service.now > last
    assert service.after(1) == ["khien-source-silent"]
    assert service.after(16 * MINUTE) == ["khien-source-silent"] * 2


def test_a_restart_does_not_raise_it_again_and_a_stop_is_no_silence(service: Service) -> None:
    service.receive()
    service.after(1)
    service.after(16 * MINUTE)
    service.restart()
    assert service.after(60 * MINUTE) == ["khien-source-silent"]
    service.receive()
    service.after(1)
    service.source = SourceStatus()  # processes begin anew
    service.clock += 100 * MINUTE
    service.restart()
    assert service.after(1) == ["khien-source-silent"]
    assert service.after(14 * MINUTE) == ["khien-source-silent"]
    assert service.after(2 * MINUTE) == ["khien-source-silent"] * 2


def test_an_alarm_whose_state_was_lost_in_a_crash_has_the_same_id_and_is_not_doubled(service: Service) -> None:
    service.receive()
    service.after(1)
    before = service.settings.alarms.read_bytes()
    service.after(16 * MINUTE)
    service.settings.alarms.write_bytes(before)
    service.restart()
    service.after(1)
    assert service.after(16 * MINUTE) == ["khien-source-silent"]


def test_silence_is_by_source_and_may_be_switched_off(service: Service) -> None:
    service.configure("silent_after = 60\n")
    service.receive()
    service.after(1)
    assert service.after(50 * MINUTE) == []
    assert service.after(11 * MINUTE) == ["khien-source-silent"]
    service.configure("silent_after = 0\n")
    service.receive()
    service.after(1)
    assert service.after(9000 * MINUTE) == ["khien-source-silent"]


def test_a_source_that_never_sent_anything_is_not_silent(service: Service) -> None:
    service.after(1)
    assert service.after(100 * MINUTE) == []


@pytest.mark.parametrize("skew", [400.0, -400.0])
def test_a_clock_that_is_off_raises_an_alarm_and_another_after_it_was_right(service: Service, skew: float) -> None:
    service.receive(skew=299)
    assert service.after(1) == []
    service.receive(skew=skew)
    assert service.after(1) == ["khien-source-clock"]
    service.receive(skew=280)
    service.after(1)
    service.receive(skew=skew)
    assert service.after(1) == ["khien-source-clock"]
    service.receive(skew=3)
    service.after(1)
    service.receive(skew=skew)
    assert service.after(1) == ["khien-source-clock"] * 2
    assert service.findings()[0]["event"]["skew_seconds"] == skew


def test_garbage_raises_an_alarm_above_a_fifth_of_at_least_fifty_recent_events(service: Service) -> None:
    service.receive(events=49, unparsed=49)
    assert service.after(1) == []
    service.receive(events=200, unparsed=0)
    assert service.after(1) == []  # 49 of 249
    service.receive(events=30, unparsed=30)
    assert service.after(1) == ["khien-source-garbage"]
    assert service.findings()[0]["event"]["unparsed"] == 79
    for _ in range(3):
        service.receive(events=300)
        service.after(11 * MINUTE)
    service.receive(events=300, unparsed=200)
    assert service.after(1) == ["khien-source-garbage"] * 2


def test_counts_that_begin_anew_are_no_garbage(service: Service) -> None:
    service.receive(events=1000, unparsed=10)
    service.after(1)
    service.source = SourceStatus()
    service.receive(events=100, unparsed=5)
    assert service.after(1) == []


def test_a_process_that_was_started_again_raises_an_alarm(service: Service) -> None:
    service.after(1)
    service.restarts = {"detect-00": 1}
    assert service.after(1) == ["khien-worker-dead"]
    service.restarts = {"detect-00": 2}
    assert service.after(MINUTE / 2) == ["khien-worker-dead"]
    service.after(6 * MINUTE)
    service.restarts = {"detect-00": 3}
    assert service.after(1) == ["khien-worker-dead"] * 2
    assert service.findings()[0]["event"]["subject"] == "detect-00"


def test_a_process_without_a_sign_for_a_minute_raises_an_alarm(service: Service) -> None:
    service.after(1)
    service.after(50, silent="correlate")
    assert service.after(11, silent="correlate") == ["khien-worker-dead"]


def test_a_full_spool_and_a_full_disk_raise_alarms(tmp_path: Path) -> None:
    service = Service(tmp_path / "live", spool_bytes=1000)
    (service.settings.spool / "segment").write_bytes(bytes(949))
    (service.settings.spool / "held").hardlink_to(service.settings.spool / "segment")
    assert service.after(1) == []
    (service.settings.spool / "segment").write_bytes(bytes(950))
    assert service.after(1) == ["khien-spool-full"]
    service.sink.close()
    other = Service(tmp_path / "other")
    other.settings = FlowSettings(folder=other.settings.folder, rules=(), min_free=1 << 60)
    other.restart()
    assert other.after(1) == ["khien-disk-full"]
    other.sink.close()


@pytest.mark.slow
def test_a_killed_worker_of_a_running_service_becomes_an_alert(tmp_path: Path) -> None:
    from flow.live_service import LiveService

    with LiveService(tmp_path / "data") as live:
        time.sleep(6)
        next(child for child in live.children() if "store" in child.cmdline()).kill()
        live.wait_for("the alarm", lambda: "khien-worker-dead" in {alert["rule"] for alert in live.alerts()}, 30)
