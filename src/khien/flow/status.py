"""What each process of the live pipeline says of itself, in a small file that others read."""

from __future__ import annotations

import contextlib
import os
import time
from bisect import bisect_left
from pathlib import Path
from typing import Any

import msgspec


class SourceStatus(msgspec.Struct):
    """One source as a process has seen it since it started. Times in microseconds UTC, 0 for never.

    `skew`: by how much events' own times lie behind their arrival, in seconds, smoothed (below 0: ahead).
    """

    events: int = 0
    bytes: int = 0
    unparsed: int = 0
    last_received: int = 0
    last_time: int = 0
    skew: float = 0.0
    error: str = ""


BOUNDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper ends of the classes in `ProcessStatus.latency`, in seconds; one more class is beyond the last."""


class ProcessStatus(msgspec.Struct):
    """A process: `lag` in parcels behind the spool, `lag_seconds` the age of the oldest of them, `rate` events/s.

    `latency`: of findings, how many took how long from the arrival of their event until they were durable.
    """

    name: str
    pid: int
    at: int
    started: int
    events: int = 0
    findings: int = 0
    position: int = 0
    lag: int = 0
    lag_seconds: float = 0.0
    rate: float = 0.0
    set_aside: int = 0
    rules: int = 0
    error: str = ""
    latency: list[int] = []
    stages: dict[str, float] = {}
    sources: dict[str, SourceStatus] = {}


class Reporter:
    """Writes a process's status to its file, at most every `every` seconds."""

    def __init__(self, folder: Path, name: str, every: float = 1.0) -> None:
        now = time.time_ns() // 1000
        self.status = ProcessStatus(name, os.getpid(), now, now)
        self._path = folder / f"{name}.json"
        self._every = every
        self._written = 0.0
        self._events = 0
        folder.mkdir(parents=True, exist_ok=True)

    def source(self, name: str) -> SourceStatus:
        """The status of a source, a new one if it was not seen before."""
        found = self.status.sources.get(name)
        if found is None:
            found = self.status.sources[name] = SourceStatus()
        return found

    def took(self, seconds: float, count: int) -> None:
        """Count findings that were durable so long after their events arrived."""
        if not self.status.latency:
            self.status.latency = [0] * (len(BOUNDS) + 1)
        self.status.latency[bisect_left(BOUNDS, seconds)] += count

    def spent(self, stage: str, seconds: float) -> None:
        """Add to the time that a stage has taken."""
        self.status.stages[stage] = self.status.stages.get(stage, 0.0) + seconds

    def tick(self, force: bool = False) -> None:
        """Write the file if it is time to."""
        now = time.monotonic()
        passed = now - self._written
        if not force and passed < self._every:
            return
        status = self.status
        status.at = time.time_ns() // 1000
        if self._written:
            status.rate = (status.events - self._events) / max(passed, 0.001)
        self._events, self._written = status.events, now
        part = self._path.with_suffix(".part")
        with contextlib.suppress(OSError):  # a full disk must not stop the work itself
            part.write_bytes(msgspec.json.encode(status))
            part.replace(self._path)


def read_all(folder: Path) -> list[ProcessStatus]:
    """The last status of every process that ever wrote one, by name; damaged files are left out."""
    found = []
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            found.append(msgspec.json.decode(path.read_bytes(), type=ProcessStatus))
    return found


def as_dict(status: ProcessStatus) -> dict[str, Any]:
    """The status as plain data."""
    plain: dict[str, Any] = msgspec.to_builtins(status)
    return plain


def quantile(latency: list[int], share: float) -> float:
    """The upper end of the class in which a share of the findings ends, in seconds; 0 for none."""
    wanted = sum(latency) * share
    total = 0
    for at, count in enumerate(latency):
        total += count
        if total >= wanted and total:
            return BOUNDS[at] if at < len(BOUNDS) else float("inf")
    return 0.0
