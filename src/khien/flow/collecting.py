"""The collecting process: every listener and followed file, into the spool."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import structlog
import uvloop

from khien.collect.counters import Counters
from khien.collect.http_server import HttpCollector, server_tls
from khien.collect.settings import Config, Source
from khien.collect.sources import SourcesError, load_sources, watch
from khien.collect.spool import Spool
from khien.collect.syslog import Endpoint, Limits, SyslogListener
from khien.collect.syslog_sources import SyslogSources
from khien.collect.tail import Tail, TailLimits
from khien.errors import KhienError
from khien.flow.metrics import Figures
from khien.flow.settings import FlowSettings
from khien.flow.status import Reporter

_FREE_EVERY = 10.0
_log = structlog.get_logger()


class Collecting:
    """All that takes events in, by one configuration; `configure` changes it while it runs."""

    def __init__(self, settings: FlowSettings, config: Config, spool: Spool) -> None:
        self._settings = settings
        self._config = config
        self._spool = spool
        self._counters = Counters(spool)
        self._http = HttpCollector(spool, config, self._counters)
        self._syslog_sources = SyslogSources(config)
        self._syslog = self._make_syslog(config)
        self._tails: dict[str, tuple[Source, Tail]] = {}
        self._report = Reporter(settings.status, "collect")
        figures = Figures(settings)
        self._http.requests.metrics_text = figures.with_own(self._counters.registry())
        self._http.requests.healthy = figures.healthy

    async def start(self) -> None:
        """Listen, and follow files. Raises KhienError when an address cannot be listened on."""
        await self._follow(self._config)  # before anyone else appends: it looks for its own last parcels
        await self._http.start()
        if self._syslog is not None:
            await self._syslog.start()

    async def configure(self, config: Config) -> None:
        """Use another configuration. Changed listening addresses are used after a restart.

        Raises ListenError for a certificate that cannot be used; the former configuration stays then.
        """
        if config.listen != self._config.listen:
            _log.warning("listen addresses changed", remedy="restart khien to use them")
        self._http.configure(config)
        self._config = config
        self._syslog_sources.replace(config)
        if self._syslog is not None:
            self._syslog.reload()
            self._syslog.disconnect()
        await self._follow(config)

    async def stop(self) -> None:
        """Take nothing new; what was read is appended first."""
        await self._http.stop()
        if self._syslog is not None:
            await self._syslog.stop()
        for _, tail in self._tails.values():
            await tail.stop()
        self._tails.clear()
        self.report(force=True)

    def report(self, force: bool = False) -> None:
        """Say how it is."""
        status = self._report.status
        for name, counters in self._counters.sources.items():
            self._note(name, counters.events, counters.bytes, int(counters.last * 1_000_000))
        if self._syslog is not None:
            for name, figures in self._syslog.figures.sources.items():
                self._note(name, figures.spooled, figures.bytes, figures.last)
        for name, (_, tail) in self._tails.items():
            self._note(name, tail.figures.lines, tail.figures.bytes, tail.figures.last)
        status.events = sum(source.events for source in status.sources.values())
        status.lag = self._spool.waiting
        self._report.tick(force=force)

    def _note(self, name: str, events: int, size: int, last: int) -> None:
        if name:
            source = self._report.source(name)
            source.events, source.bytes, source.last_received = events, size, max(last, source.last_received)

    def _make_syslog(self, config: Config) -> SyslogListener | None:
        listen = config.listen
        endpoints = [
            *(Endpoint("udp", each.host, each.port) for each in listen.syslog_udp),
            *(Endpoint("tcp", each.host, each.port) for each in listen.syslog_tcp),
            *(Endpoint("tls", each.host, each.port) for each in listen.syslog_tls),
        ]
        if not endpoints:
            return None
        tls = server_tls(listen.tls) if listen.tls and listen.syslog_tls else None
        return SyslogListener(self._spool, self._syslog_sources, endpoints, tls=tls, limits=Limits())

    async def _follow(self, config: Config) -> None:
        """Follow the file sources of a configuration: new and changed ones anew, others as before."""
        wanted = {source.id: source for source in config.of_kind("file")}
        for name, (source, tail) in list(self._tails.items()):
            if wanted.get(name) != source:
                await tail.stop()
                del self._tails[name]
        for name, source in wanted.items():
            if name not in self._tails:
                limits = TailLimits(max_line=source.max_line, events_per_second=source.events_per_second)
                place = self._settings.folder / "checkpoints"
                tail = Tail(self._spool, source.id, source.paths, place, format=source.format, limits=limits)
                await tail.start()
                self._tails[name] = source, tail


async def _run(settings: FlowSettings, file: Path, stopping: Callable[[], bool]) -> None:
    raw = file.read_bytes()
    config = load_sources(file)
    spool = Spool(settings.spool, settings.lanes, settings.spool_bytes, min_free=settings.min_free)
    for problem in spool.problems:
        _log.error("spool damaged", problem=str(problem))
    collecting = Collecting(settings, config, spool)
    await collecting.start()

    def bad(error: SourcesError) -> None:
        _log.error("sources not reloaded", error=str(error))

    async def reload() -> None:
        async for new in watch(file, bad, known=raw):
            try:
                await collecting.configure(new)
            except KhienError as error:
                _log.error("sources not reloaded", error=str(error))
            else:
                _log.info("sources reloaded", sources=len(new.sources))

    reloading = asyncio.create_task(reload())
    freed = time.monotonic()
    try:
        while not stopping():
            collecting.report()
            if time.monotonic() - freed >= _FREE_EVERY:  # also where nothing arrives
                await spool.free()
                freed = time.monotonic()
            await asyncio.sleep(0.1)
    finally:
        reloading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reloading
        await collecting.stop()
        await spool.close()


def collect(settings: FlowSettings, stopping: Callable[[], bool]) -> int:
    """Collect until `stopping()`. The exit code of the process."""
    if settings.sources is None:
        while not stopping():
            time.sleep(0.2)
        return 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, settings.sources, stopping))
    return 0
