"""The worker: all chores of the apps, and the jobs that pages leave for later.

Any number may be started, on any number of machines; the one that holds the lease works, the others stand by.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
from django.db import DatabaseError, close_old_connections, connections

from khien.console.chores import Chore, all_chores
from khien.console.upkeep import jobs, lease
from khien.console.upkeep.running import ChoreThread, forget_unknown, write_down

_log = structlog.get_logger()
_RENEWS = 10.0
_LOOKS = 0.5
"""Seconds between two looks for jobs."""


@dataclass(slots=True)
class Shift:
    """The time for which one worker holds the lease: its threads."""

    me: str
    chores: Sequence[Chore]
    job_threads: int
    stopping: threading.Event = field(default_factory=threading.Event)
    threads: list[ChoreThread] = field(default_factory=list)
    workers: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        """Take over what the last worker left, and start."""
        left = jobs.recover()
        if left:
            _log.warning("jobs of a worker that ended are done again", jobs=left)
        forget_unknown(list(self.chores))
        self.threads = [ChoreThread(chore, self.stopping) for chore in self.chores]
        for each in self.threads:
            each.start()
        for number in range(self.job_threads):
            thread = threading.Thread(target=self._do_jobs, args=(number,), name=f"jobs-{number}", daemon=True)
            self.workers.append(thread)
            thread.start()

    def end(self, patience: float) -> bool:
        """Let the threads finish what they are at; whether all did in time."""
        self.stopping.set()
        deadline = time.monotonic() + patience
        running = [each.thread for each in self.threads if each.thread] + self.workers
        for thread in running:
            thread.join(max(0.0, deadline - time.monotonic()))
        with contextlib.suppress(DatabaseError):
            write_down(self.threads)
        late = [thread.name for thread in running if thread.is_alive()]
        if late:
            _log.warning("threads did not end in time", threads=late)
        return not late

    def _do_jobs(self, number: int) -> None:
        name = f"{self.me.rpartition(' ')[2]}-{number}"
        while not self.stopping.is_set():
            try:
                close_old_connections()
                if jobs.work(name):
                    continue
            except Exception as error:  # such as a database out of reach: the jobs are still there afterwards
                _log.error("jobs cannot be read", error=f"{type(error).__name__}: {error}")
                connections.close_all()
                self.stopping.wait(5.0)
            self.stopping.wait(_LOOKS)
        connections.close_all()


def run(
    stopping: Callable[[], bool],
    *,
    chores: Sequence[Chore] | None = None,
    job_threads: int = 2,
    renews: float = _RENEWS,
    patience: float = 20.0,
) -> bool:
    """Work until `stopping()`. False when something did not end in time and the process had better be left.

    The lease is renewed every `renews` seconds; one that is lost, since this machine was halted, ends the work
    at once, and this worker stands by.
    """
    chores = all_chores() if chores is None else chores
    me = lease.holder()
    shift: Shift | None = None
    next_renewal = valid_until = 0.0
    clean = True
    while not stopping():
        now = time.monotonic()
        if now >= next_renewal:
            next_renewal = now + renews
            held = False
            try:
                close_old_connections()
                held = lease.acquire(me)
                if held:
                    valid_until = now + lease.LASTS.total_seconds() * 0.8
                if shift is not None and held:
                    write_down(shift.threads)
            except DatabaseError as error:
                held = shift is not None and now < valid_until  # still ours, as far as the others know
                _log.error("lease not renewed", error=f"{type(error).__name__}: {error}")
                connections.close_all()
            if held and shift is None:
                shift = Shift(me, chores, job_threads)
                shift.begin()
                _log.info("worker at work", chores=len(chores))
            elif not held and shift is not None:
                _log.error("lease lost, the worker stops working")
                clean = shift.end(patience)
                shift = None
                if not clean:
                    return False
        time.sleep(0.1)
    if shift is not None:
        clean = shift.end(patience)
    if clean:
        with contextlib.suppress(DatabaseError):
            lease.release(me)
    connections.close_all()
    return clean


def leave(clean: bool) -> None:
    """End the process; at once where threads still run that would keep it."""
    if not clean:
        os._exit(1)
