"""One process of the live pipeline: `python -m khien.flow.process ROLE LANE SETTINGS`, started by the supervisor."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from khien.collect.sources import SourcesError, load_sources
from khien.flow.logs import set_up_logs
from khien.flow.settings import FlowSettings
from khien.hunt.memory import keep_blocks

ROLES = ("collect", "detect", "store", "correlate")


def encode(settings: FlowSettings) -> str:
    """Settings as text for the command line of a process."""
    return msgspec.json.encode(asdict(settings), enc_hook=str).decode()


def decode(text: str) -> FlowSettings:
    """The settings of such a text."""
    plain: dict[str, Any] = msgspec.json.decode(text)
    plain["folder"] = Path(plain["folder"])
    plain["sources"] = Path(plain["sources"]) if plain["sources"] else None
    plain["rules"] = tuple(Path(each) for each in plain["rules"])
    plain["placeholders"] = Path(plain["placeholders"]) if plain["placeholders"] else None
    plain["cache"] = Path(plain["cache"]) if plain["cache"] else None
    return FlowSettings(**plain)


class Units:
    """The unit of each source, by the sources file: read again when that changed, at once for a new source."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._stamp = -1
        self._looked = 0.0
        self._units: dict[str, str] = {}

    def of(self, source: str) -> str:
        """The unit of a source; "" when it has none or is not known."""
        now = time.monotonic()
        if self._file is not None and (source not in self._units or now - self._looked >= 5.0):
            self._looked = now
            self._refresh(self._file)
        return self._units.get(source, "")

    def _refresh(self, file: Path) -> None:
        try:
            stamp = file.stat().st_mtime_ns
            if stamp != self._stamp:
                self._units = {source.id: source.unit for source in load_sources(file).sources}
                self._stamp = stamp
        except (OSError, SourcesError):
            return  # the collector reports it; the last good one stays


def stop_flag() -> Callable[[], bool]:
    """True once this process was asked to end, or its parent is gone."""
    event = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: event.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor passes it on
    parent = os.getppid()
    return lambda: event.is_set() or os.getppid() != parent


def main(arguments: list[str]) -> int:
    """Run one role until asked to stop."""
    role, lane, settings = arguments[0], int(arguments[1]), decode(arguments[2])
    stopping = stop_flag()
    set_up_logs(role)
    if role == "detect":
        keep_blocks()
    units = Units(settings.sources)
    if role == "collect":
        from khien.flow.collecting import collect

        return collect(settings, stopping)
    if role == "store":
        from khien.flow.storing import Storer

        Storer(settings, lane, units.of).run(stopping)
        return 0
    from khien.alerts.sink import SqliteAlerts
    from khien.flow.rulebook import Rulebook

    rulebook = Rulebook(settings.rules, settings.level, settings.cache, settings.placeholders)
    sink = SqliteAlerts(settings.alerts)
    gc.disable()  # the engine makes no cycles
    if role == "detect":
        from khien.flow.detecting import Detecting

        Detecting(settings, lane, sink, rulebook, units.of).run(stopping)
    else:
        from khien.flow.correlating import Correlating

        Correlating(settings, sink, rulebook).run(stopping)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
