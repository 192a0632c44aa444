"""Running chores: each in a thread of its own, so that a slow one holds up no other."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import close_old_connections, connections
from django.utils import timezone

from khien.console.chores import Chore
from khien.console.upkeep.models import ChoreRun

FIRST_WAIT = 1.0
_LATEST_START = 15.0
_IDLE = 30.0
"""A chore that rests longer than this gives its connection back meanwhile."""
_log = structlog.get_logger()


@dataclass(slots=True)
class Record:
    """How a chore goes, until it is written down."""

    started_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float = 0.0
    runs: int = 0
    failures: int = 0
    failed_at: datetime | None = None
    error: str = ""
    changed: bool = True


@dataclass(slots=True)
class ChoreThread:
    """Calls a chore at its interval by the clock that is never set; after errors it waits longer each time."""

    chore: Chore
    stopping: threading.Event
    record: Record = field(default_factory=Record)
    lock: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; the first run is soon, and later for what runs seldom, so that a start is not crowded."""
        self.thread = threading.Thread(target=self._run, name=self.chore.name, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        every = max(self.chore.every.total_seconds(), 0.01)
        due = time.monotonic() + min(every / 10, _LATEST_START)
        while not self.stopping.wait(max(0.0, due - time.monotonic())):
            failed = not self._once()
            now = time.monotonic()
            due = max(due + every, now)
            if failed:
                due = max(due, now + waits(every, self.record.failures, self.chore.longest_wait.total_seconds()))
            if due - now > _IDLE:
                connections.close_all()
        connections.close_all()

    def _once(self) -> bool:
        record = self.record
        with self.lock:
            record.started_at, record.changed = timezone.now(), True
        began = time.monotonic()
        error = ""
        try:
            close_old_connections()
            self.chore.run()
        except Exception as problem:  # whatever it is, the other chores go on and this one tries again
            error = f"{type(problem).__name__}: {problem}"[:2000]
            if record.failures in (0, 9, 99) or record.failures % 1000 == 999:
                times = record.failures + 1
                _log.error("chore failed", chore=self.chore.name, error=error, failures=times, exc_info=True)
            connections.close_all()
        with self.lock:
            record.ended_at, record.seconds = timezone.now(), time.monotonic() - began
            record.runs += 1
            record.changed = True
            if error:
                record.failures += 1
                record.failed_at, record.error = record.ended_at, error
            elif record.failures:
                _log.info("chore works again", chore=self.chore.name, failures=record.failures)
                record.failures = 0
        return not error


def waits(every: float, failures: int, longest: float) -> float:
    """Seconds until the next try after so many failures in a row, at most `longest` or the interval itself."""
    return min(max(every, FIRST_WAIT) * 2.0 ** min(failures - 1, 20), max(longest, every))


def write_down(threads: list[ChoreThread]) -> None:
    """Keep how the chores go, in one write for all that changed."""
    rows = []
    for each in threads:
        with each.lock:
            record = each.record
            if not record.changed:
                continue
            record.changed = False
            rows.append(
                ChoreRun(
                    name=each.chore.name,
                    every=each.chore.every.total_seconds(),
                    started_at=record.started_at,
                    ended_at=record.ended_at,
                    seconds=record.seconds,
                    runs=record.runs,
                    failures=record.failures,
                    failed_at=record.failed_at,
                    error=record.error,
                )
            )
    if rows:
        fields = ["every", "started_at", "ended_at", "seconds", "runs", "failures", "failed_at", "error"]
        ChoreRun.objects.bulk_create(rows, update_conflicts=True, unique_fields=["name"], update_fields=fields)


def forget_unknown(chores: list[Chore]) -> None:
    """Delete what is known of chores that are no more."""
    ChoreRun.objects.exclude(name__in=[each.name for each in chores]).delete()
