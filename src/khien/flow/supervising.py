"""Starting, watching and stopping the processes of the live pipeline."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from khien.errors import KhienError
from khien.flow.chores import Chores
from khien.flow.metrics import expected
from khien.flow.numbers import go_on_after, numbers_of
from khien.flow.process import encode
from khien.flow.restarting import Restarted, end_all
from khien.flow.settings import FlowSettings
from khien.flow.status import read_all
from khien.flow.watching import watch
from khien.lake.store import Lake

_HANGS_AFTER = 120.0
_log = structlog.get_logger()


@dataclass(slots=True)
class Child(Restarted):
    """One process of the pipeline, and its last sign of life."""

    role: str
    lane: int
    sign: tuple[int, int] = (0, 0)
    """The process id and the time in its last status, to see whether that is a new one."""
    seen: float = 0.0
    """When it last gave a new sign, or was started, by the clock that is never set."""

    @property
    def name(self) -> str:
        """As in its status file."""
        return self.role if self.role in ("collect", "correlate") else f"{self.role}-{self.lane:02d}"


@dataclass(slots=True)
class Supervisor:
    """Keeps the processes of a pipeline alive: one that dies, or gives no sign for two minutes, is started again."""

    settings: FlowSettings
    children: list[Child] = field(default_factory=list)
    hangs_after: float = _HANGS_AFTER

    def start(self) -> None:
        """Start everything. What processes that are no more said of themselves, of lanes given up, is forgotten."""
        for path in self.settings.status.glob("*.json"):
            if path.stem not in expected(self.settings):
                path.unlink(missing_ok=True)
        self._go_on()
        lanes = range(self.settings.lanes)
        self.children = [
            *(Child("detect", lane) for lane in lanes),
            *(Child("store", lane) for lane in lanes),
            Child("correlate", 0),
            Child("collect", 0),
        ]
        for child in self.children:
            self._start(child)

    def _go_on(self) -> None:
        """Let the spool go on after what lake and alerts have. A lake out of reach hinders only a new spool."""
        settings = self.settings
        try:
            lake = Lake(settings.lake_root, settings.lake_options)
            behind = go_on_after(settings.spool, settings.alerts, lake, range(settings.lanes))
        except KhienError as error:
            if not all(numbers_of(settings.spool, range(settings.lanes)).values()):
                raise
            _log.error("lake out of reach, taken to be no newer than the spool", error=str(error))
            return
        if behind:
            _log.warning("spool is older than the lake or the alerts, and goes on after them", lanes=behind)

    def look(self) -> None:
        """Start again what died; end what hangs."""
        now = time.monotonic()
        signs = {status.name: status for status in read_all(self.settings.status)}
        for child in self.children:
            if child.process is None:
                if now >= child.not_before:
                    self._start(child)
                continue
            if (end := child.ended(now)) is None:
                status = signs.get(child.name)
                if status is not None and status.pid == child.process.pid and child.sign != (status.pid, status.at):
                    child.sign, child.seen = (status.pid, status.at), now
                if now - child.seen > self.hangs_after:
                    _log.error("process hangs and is ended", name=child.name, pid=child.process.pid)
                    child.process.kill()
                    child.seen = now
                continue
            code, lived = end
            _log.error("process ended", name=child.name, code=code, lived=round(lived, 1), again_in=child.wait)

    def stop(self, patience: float = 60.0) -> None:
        """Stop taking in first; then let the workers finish what is in the spool, for at most `patience` seconds."""
        deadline = time.monotonic() + patience
        for roles in (("collect",), ("detect", "store"), ("correlate",)):
            end_all([child for child in self.children if child.role in roles], deadline)

    def run(self, stopping: Callable[[], bool]) -> None:
        """Start, watch until `stopping()`, stop."""
        self.start()
        upkeep = Chores(self.settings)
        ending = threading.Event()
        watching = threading.Thread(target=watch, args=(self.settings, self.restarts, ending), name="watch")
        watching.start()
        try:
            while not stopping():
                self.look()
                upkeep.look()
                time.sleep(0.2)
        finally:
            ending.set()
            upkeep.stop()
            self.stop()
            watching.join()

    def restarts(self) -> dict[str, int]:
        """How often each process has been started again."""
        return {child.name: child.restarts for child in self.children}

    def _start(self, child: Child) -> None:
        command = [sys.executable, "-m", "khien.flow.process", child.role, str(child.lane), encode(self.settings)]
        process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own module
        child.begin(process)
        child.seen = child.started
        _log.info("process started", name=child.name, pid=process.pid)
