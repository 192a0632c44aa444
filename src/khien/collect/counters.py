"""What came in from each source, as numbers: for /metrics and for the status command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from khien.collect.spool import Spool


@dataclass(slots=True)
class SourceCounters:
    """The numbers of one source since the process started; `last` is in seconds since 1970 UTC, 0 for never.

    `malformed` counts events that were taken though they are not what the source says they are.
    """

    events: int = 0
    bytes: int = 0
    malformed: int = 0
    last: float = 0.0
    rejected: Counter[str] = field(default_factory=Counter)


class Counters(Collector):
    """The numbers of all sources. Senders that could not be told apart count under ""."""

    def __init__(self, spool: Spool | None = None) -> None:
        self.sources: dict[str, SourceCounters] = {}
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self._spool = spool

    def of(self, source: str) -> SourceCounters:
        """The numbers of one source, to be counted up."""
        found = self.sources.get(source)
        if found is None:
            found = self.sources[source] = SourceCounters()
        return found

    def took(self, source: str, events: int, size: int, now: float, malformed: int = 0) -> None:
        """Count events that are safe in the spool; `now` in seconds since 1970 UTC."""
        counters = self.of(source)
        counters.events += events
        counters.bytes += size
        counters.malformed += malformed
        counters.last = max(counters.last, now)

    def refused(self, source: str, reason: str, count: int = 1) -> None:
        """Count requests or events that were not taken, by a short reason of a fixed set."""
        self.of(source).rejected[reason] += count

    def registry(self) -> CollectorRegistry:
        """A new Prometheus registry that shows these numbers."""
        registry = CollectorRegistry()
        registry.register(self)
        return registry

    def collect(self) -> Iterator[Metric]:
        """The numbers in the form of prometheus-client."""
        events = CounterMetricFamily("khien_collect_events", "Events taken", labels=["source"])
        size = CounterMetricFamily("khien_collect_bytes", "Bytes of events taken", labels=["source"])
        bad = CounterMetricFamily("khien_collect_malformed", "Events taken that are malformed", labels=["source"])
        refused = CounterMetricFamily("khien_collect_rejected", "Not taken, by reason", labels=["source", "reason"])
        last = GaugeMetricFamily("khien_collect_last_event_seconds", "When an event last came", labels=["source"])
        for name, counters in sorted(self.sources.items()):
            events.add_metric([name], counters.events)
            size.add_metric([name], counters.bytes)
            bad.add_metric([name], counters.malformed)
            for reason, count in sorted(counters.rejected.items()):
                refused.add_metric([name, reason], count)
            if counters.last:
                last.add_metric([name], counters.last)
        yield from (events, size, bad, refused, last)
        for name, (title, value) in self.gauges.items():
            yield GaugeMetricFamily(name, title, value=value())
        if self._spool is not None:
            yield from _spool_metrics(self._spool)


def _spool_metrics(spool: Spool) -> Iterator[Metric]:
    yield GaugeMetricFamily("khien_spool_bytes", "Bytes of the spool on disk", value=spool.used)
    yield GaugeMetricFamily("khien_spool_max_bytes", "Bytes the spool may take", value=spool.max_bytes)
    yield GaugeMetricFamily("khien_spool_waiting_bytes", "Bytes of events waiting for the disk", value=spool.waiting)
    lag = GaugeMetricFamily("khien_spool_lag", "Parcels not yet done with", labels=["lane", "consumer"])
    for lane in range(spool.lanes):
        for consumer, behind in spool.lag(lane).items():
            lag.add_metric([str(lane), consumer], behind)
    yield lag
