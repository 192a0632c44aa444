"""What is done by the clock beside the live flow: the lake's upkeep, one chore at a time, each a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field

import structlog

from khien.flow.settings import FlowSettings

MINUTE = 60.0
_LONGEST = 3 * 3600.0
_log = structlog.get_logger()


@dataclass(slots=True)
class Chore:
    """`khien lake NAME ...`, first after `due` seconds and then every so many seconds."""

    name: str
    arguments: tuple[str, ...]
    every: float
    due: float


def chores(settings: FlowSettings) -> list[Chore]:
    """The upkeep of the lake: compact often, retain and vacuum hourly and daily, check daily."""
    lake = ("--lake", settings.lake_root)
    kept: list[str] = []
    if settings.keep_days:
        kept += ["--days", str(settings.keep_days)]
    if settings.keep_size:
        kept += ["--size", settings.keep_size]
    found = [
        Chore("compact", lake, 10 * MINUTE, 10 * MINUTE),
        Chore("vacuum", lake, 24 * 60 * MINUTE, 45 * MINUTE),
        Chore("check", lake, 24 * 60 * MINUTE, 90 * MINUTE),
    ]
    if kept:
        found.append(Chore("retain", (*lake, *kept), 60 * MINUTE, 25 * MINUTE))
    return found


@dataclass(slots=True)
class Chores:
    """Starts what is due. A chore that fails is reported and tried again at its next time."""

    settings: FlowSettings
    chores: list[Chore] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    running: tuple[Chore, subprocess.Popen[bytes], float] | None = None

    def __post_init__(self) -> None:
        if not self.chores:
            self.chores = chores(self.settings)

    def look(self) -> None:
        """Look after the chore at work, or start the next that is due."""
        now = time.monotonic() - self.began
        if self.running is not None:
            chore, process, started = self.running
            code = process.poll()
            if code is None:
                if now - started > _LONGEST:
                    process.kill()
                return
            self.running = None
            if code != 0:
                _log.error("upkeep failed", chore=chore.name, code=code, took=round(now - started, 1))
            else:
                _log.info("upkeep done", chore=chore.name, took=round(now - started, 1))
        due = [chore for chore in self.chores if chore.due <= now]
        if due:
            chore = min(due, key=lambda chore: chore.due)
            chore.due = now + chore.every
            command = [sys.executable, "-m", "khien.cli.main", "lake", chore.name, *chore.arguments]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - ours
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, 10)
            self.running = chore, process, now

    def stop(self) -> None:
        """End the chore at work; each may be ended at any moment."""
        if self.running is not None:
            self.running[1].terminate()
            self.running[1].wait()
            self.running = None
