"""A process that is started again when it ends, later each time while it keeps ending."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

FIRST_WAIT = 0.2
LONGEST_WAIT = 30.0
HEALTHY_AFTER = 30.0
_log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Restarted:
    """One process, and when it may be started again after it ended."""

    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    wait: float = FIRST_WAIT
    not_before: float = 0.0
    restarts: int = 0

    def begin(self, process: subprocess.Popen[bytes]) -> None:
        """It runs."""
        self.process, self.started = process, time.monotonic()

    def ended(self, now: float) -> tuple[int, float] | None:
        """Its exit code and how many seconds it lived; None while it runs. It may be started again after `wait`."""
        code = self.process.poll() if self.process is not None else None
        if code is None:
            return None
        lived = now - self.started
        self.wait = FIRST_WAIT if lived > HEALTHY_AFTER else min(self.wait * 2, LONGEST_WAIT)
        self.not_before = now + self.wait
        self.restarts += 1
        self.process = None
        return code, lived


class Named(Protocol):
    """A process with a name for the log."""

    process: subprocess.Popen[bytes] | None

    @property
    def name(self) -> str: ...


def end_all(children: Sequence[Named], deadline: float) -> None:
    """Ask all of them to end at once, wait until `deadline`, and kill those that have not."""
    running = [(child, child.process) for child in children if child.process is not None]
    for _child, process in running:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    for child, process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _log.error("process did not end in time and is killed", name=child.name)
            process.kill()
            process.wait()
        child.process = None
