"""The detecting worker: what it says of itself while work lasts, and what it does again after a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from flow.live_service import WHOAMI, whoami
from khien.alerts.grouping import Alert
from khien.alerts.live_finding import LiveFinding
from khien.alerts.sink import SqliteAlerts
from khien.collect.spool import Parcel, Spool
from khien.engine.hit import Hit
from khien.errors import KhienError
from khien.flow.correlating import frontier
from khien.flow.detecting import Detecting
from khien.flow.rulebook import Rulebook
from khien.flow.settings import FlowSettings
from khien.flow.status import ProcessStatus, read_all


@pytest.fixture
def settings(tmp_path: Path) -> FlowSettings:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "whoami.yml").write_text(WHOAMI)
    return FlowSettings(folder=tmp_path / "live", rules=(tmp_path / "rules",))


def spool(settings: FlowSettings, *events: bytes, age: float = 0.0) -> None:
    """Append a parcel for each event, received so many seconds ago."""

    async def append() -> None:
        out = Spool(settings.spool)
        for event in events:
            await out.append(Parcel("agents", "json", int((time.time() - age) * 1e6), event + b"\n", 1))
        await out.close()

    asyncio.run(append())


def worker(settings: FlowSettings, sink: SqliteAlerts) -> Detecting:
    return Detecting(settings, 0, sink, Rulebook(settings.rules, "low", None), lambda source: "Unit")


class Full(SqliteAlerts):
    """A store whose disk is full at first; `seen` is the worker's status the moment before there is room."""

    seen: ProcessStatus | None = None

    def take(self, lane: int, position: int, findings: Sequence[LiveFinding], hits: Sequence[Hit] = ()) -> list[Alert]:
        if self.seen is None:
            statuses = read_all(self.path.parent / "status")
            if not statuses or not statuses[0].error:
                raise KhienError("the disk is full", str(self.path))
            self.seen = statuses[0]
        return super().take(lane, position, findings, hits)

    @property
    def path(self) -> Path:
        return self.database.path


def test_correlations_wait_for_a_parcel_whose_findings_cannot_be_stored(settings: FlowSettings) -> None:
    spool(settings, whoami("a"), age=100)
    sink = Full(settings.alerts)
    detecting = worker(settings, sink)
    assert detecting.step()
    assert sink.seen is not None
    assert sink.seen.lag == 1
    assert 99 < sink.seen.lag_seconds < 160
    now = time.time_ns() // 1000
    assert frontier([sink.seen], now) < now - 99_000_000
    assert sink.finding_count() == 1
    detecting.step()
    detecting._tell(force=True)
    (after,) = read_all(settings.status)
    assert (after.position, after.lag, after.lag_seconds, after.error) == (1, 0, 0.0, "")
    sink.close()


def test_damage_of_the_spool_is_logged(settings: FlowSettings, capsys: pytest.CaptureFixture[str]) -> None:
    spool(settings, whoami("a"), whoami("b"))
    (segment,) = (settings.spool / "lane-00").glob("*.seg")
    content = bytearray(segment.read_bytes())
    content[len(content) // 4] ^= 0xFF
    segment.write_bytes(content)
    sink = SqliteAlerts(settings.alerts)
    worker(settings, sink).step()
    assert capsys.readouterr().out.count("spool damaged") == 1
    assert sink.finding_count() == 1
    sink.close()
