"""The correlating process: hits of all lanes to correlations that came true."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from khien.alerts.correlating import CorrelationTaken, LiveCorrelations
from khien.alerts.sink import SqliteAlerts
from khien.engine.hit import CorrelationMatch
from khien.errors import KhienError
from khien.flow.rulebook import Rulebook
from khien.flow.settings import FlowSettings
from khien.flow.status import ProcessStatus, Reporter, read_all
from khien.hunt.assembly import correlation_finding

_EVERY = 0.5
_MARGIN = 2_000_000
"""How long after its arrival a parcel may still be on its way into the spool, microseconds."""
_log = structlog.get_logger()


def frontier(detecting: list[ProcessStatus], now: int) -> int:
    """Up to which time of arrival all lanes have stored their hits, microseconds UTC; -1 when that is not known."""
    behind = [int(status.lag_seconds * 1_000_000) if status.lag else 0 for status in detecting]
    reached = [status.at - max(lag, _MARGIN) for status, lag in zip(detecting, behind, strict=True)]
    return min([*reached, now]) if reached else -1


class Correlating:
    """Advances the correlations as far as the detecting workers have come."""

    def __init__(self, settings: FlowSettings, sink: SqliteAlerts, rulebook: Rulebook) -> None:
        self._settings = settings
        self._rulebook = rulebook
        self._report = Reporter(settings.status, "correlate")
        self._live = LiveCorrelations(
            sink,
            rulebook.plan.correlations,
            correlation_finding,
            origin=_origin,
            lateness=int(settings.lateness * 1_000_000),
        )

    def run(self, stopping: Callable[[], bool]) -> None:
        """Work until `stopping()`."""
        while not stopping():
            self.step()
            time.sleep(_EVERY)
        self.step()
        self._report.tick(force=True)

    def step(self) -> None:
        """Advance once."""
        names = {f"detect-{lane:02d}" for lane in range(self._settings.lanes)}
        detecting = [status for status in read_all(self._settings.status) if status.name in names]
        now = time.time_ns() // 1000
        until = frontier(detecting, now) if len(detecting) == len(names) else -1
        status = self._report.status
        started = time.perf_counter()
        try:
            if self._rulebook.changed():
                self._live.reload(self._rulebook.plan.correlations)
            if until > 0:
                status.findings += len(self._live.advance(until, now))
            status.error = ""
        except CorrelationTaken:
            raise
        except KhienError as error:
            status.error = str(error)
            _log.error("correlations not advanced", error=str(error))
        self._report.spent("correlate", time.perf_counter() - started)
        status.rules = len(self._rulebook.plan.correlations)
        self._report.tick()


def _origin(match: CorrelationMatch) -> tuple[str, str]:
    """The source of all hits, if it is one. (A hit's path is its source.)"""
    sources = {hit.path for hit in match.hits}
    return (sources.pop(), "") if len(sources) == 1 else ("", "")
