"""The live pipeline's figures for Prometheus and for `/health`, from what its processes say of themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from khien.flow.settings import FlowSettings
from khien.flow.status import ProcessStatus, read_all

STALE_SECONDS = 60.0


def expected(settings: FlowSettings) -> tuple[str, ...]:
    """The names of the processes of a pipeline."""
    lanes = [f"{role}-{lane:02d}" for role in ("detect", "store") for lane in range(settings.lanes)]
    return (*lanes, "correlate", "collect")


def ailments(settings: FlowSettings, statuses: list[ProcessStatus], now: float) -> list[str]:
    """What is wrong, in words; empty when all is well. `now` in seconds since 1970 UTC."""
    by_name = {status.name: status for status in statuses}
    found = []
    for name in expected(settings):
        status = by_name.get(name)
        if status is None:
            found.append(f"{name} has not started")
        elif now - status.at / 1e6 > STALE_SECONDS:
            found.append(f"{name} gives no sign since {now - status.at / 1e6:.0f} s")
        elif status.error:
            found.append(f"{name}: {status.error}")
    return found


class Figures(Collector):
    """Reads the status files whenever it is asked."""

    def __init__(self, settings: FlowSettings) -> None:
        self._settings = settings

    def healthy(self) -> bool:
        """Whether all processes are well, for `/health`."""
        return not ailments(self._settings, read_all(self._settings.status), time.time())

    def with_own(self, registry: CollectorRegistry) -> Callable[[], bytes]:
        """The text for `/metrics`: these figures and those of another registry."""
        registry.register(self)
        return lambda: generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """The figures in the form of prometheus-client."""
        events = CounterMetricFamily("khien_events", "Events worked on", labels=["process"])
        findings = CounterMetricFamily("khien_findings", "Findings made", labels=["process"])
        lag = GaugeMetricFamily("khien_lag_parcels", "Parcels behind the spool", labels=["process"])
        age = GaugeMetricFamily("khien_lag_seconds", "Age of the oldest parcel not worked on", labels=["process"])
        aside = CounterMetricFamily("khien_set_aside", "Events that could not be worked on", labels=["process"])
        spent = CounterMetricFamily("khien_stage_seconds", "Time spent by stage", labels=["process", "stage"])
        unparsed = CounterMetricFamily("khien_unparsed", "Events stored raw, by source", labels=["source"])
        skew = GaugeMetricFamily("khien_clock_skew_seconds", "How far a source's clock lies behind", labels=["source"])
        for status in read_all(self._settings.status):
            events.add_metric([status.name], status.events)
            findings.add_metric([status.name], status.findings)
            lag.add_metric([status.name], status.lag)
            age.add_metric([status.name], status.lag_seconds)
            aside.add_metric([status.name], status.set_aside)
            for stage, seconds in status.stages.items():
                spent.add_metric([status.name, stage], seconds)
            if status.name.startswith("store"):
                for name, source in status.sources.items():
                    unparsed.add_metric([name], source.unparsed)
                    skew.add_metric([name], source.skew)
        yield from (events, findings, lag, age, aside, spent, unparsed, skew)
