"""The storing worker: every parcel of a lane into the lake, each exactly once."""

from __future__ import annotations

import time
from collections.abc import Callable

import pyarrow as pa
import structlog

from khien.collect.spool import LaneReader, Parcel, Position
from khien.errors import KhienError
from khien.events.mapping import Classifier
from khien.flow.careful import Careful
from khien.flow.logs import log_damage
from khien.flow.rows import RowMaker
from khien.flow.setaside import Doubts, SetAside
from khien.flow.settings import FlowSettings
from khien.flow.status import Reporter
from khien.hunt.memory import give_back
from khien.lake.store import Lake

CONSUMER = "store"
_READ_BYTES = 8 << 20
_IDLE = 0.1
_SMOOTH = 0.1
_log = structlog.get_logger()


class Storer:
    """Writes one lane to the lake. `unit_of(source)` gives the unit of a source.

    A batch goes in as one Delta transaction that bears the sequence number of its last parcel, so that
    a batch repeated after a crash is recognised and skipped.
    """

    def __init__(self, settings: FlowSettings, lane: int, unit_of: Callable[[str], str]) -> None:
        self._settings = settings
        self._lane = lane
        self._unit_of = unit_of
        self._app = f"khien-lane-{lane:02d}"
        self._lake = Lake(settings.lake_root, settings.lake_options or None)
        self._reader = LaneReader(settings.spool, lane)
        self._position = Position(settings.spool, lane, CONSUMER)
        self._rows = RowMaker(Classifier.load())
        self._aside = SetAside(settings.set_aside, f"store-{lane:02d}")
        self._doubts = Doubts(settings.folder / "doubts", f"store-{lane:02d}")
        self._report = Reporter(settings.status, f"store-{lane:02d}")
        self._careful = Careful(self._table, self._doubts, self._aside, self._report.tick)
        self._tables: list[pa.Table] = []
        self._bytes = 0
        self._since = 0.0
        # What the lake has of this lane is done with, whatever the position says.
        self._at = max(self._position.load(), self._lake.version(self._app) or 0)
        self._position.save(self._at)

    def run(self, stopping: Callable[[], bool]) -> None:
        """Work until `stopping()`, then write what was read and end."""
        while not stopping():
            if not self.step():
                time.sleep(_IDLE)
        while self.step():  # what is in the spool already
            pass
        self.flush()
        self._report.tick(force=True)

    def step(self) -> bool:
        """Read some parcels, write a batch if it is due; False when there was nothing to read."""
        settings = self._settings
        parcels = self._reader.read(self._at, _READ_BYTES)
        log_damage(self._reader)
        for sequence, parcel in parcels:
            self._take(sequence, parcel)
        due = self._bytes >= settings.store_bytes or (
            self._tables and time.monotonic() - self._since >= settings.store_seconds
        )
        if due:
            self.flush()
        status = self._report.status
        status.set_aside = self._aside.count
        status.lag = self._reader.last() - self._at
        status.position = self._at
        status.lag_seconds = max(0.0, time.time() - parcels[0][1].received / 1e6) if parcels and status.lag else 0.0
        self._report.tick()
        return bool(parcels)

    def _take(self, sequence: int, parcel: Parcel) -> None:
        started = time.perf_counter()
        source = self._report.source(parcel.source)
        table = self._careful.run(sequence, parcel)
        if not self._tables:
            self._since = time.monotonic()
        self._tables.append(table)
        self._bytes += len(parcel.data)
        self._at = sequence
        source.events += parcel.count
        source.bytes += len(parcel.data)
        source.unparsed = self._rows.unparsed.get(parcel.source, 0)
        source.last_received = parcel.received
        if self._rows.skew is not None:
            source.skew += (self._rows.skew - source.skew) * (_SMOOTH if source.last_time else 1.0)
            source.last_time = parcel.received - int(self._rows.skew * 1_000_000)
        self._report.status.events += parcel.count
        self._report.spent("rows", time.perf_counter() - started)

    def _table(self, sequence: int, parcel: Parcel) -> pa.Table:
        return self._rows.table(self._lane, sequence, parcel, self._unit_of(parcel.source))

    def flush(self) -> None:
        """Write what was gathered to the lake, trying again while that fails, and free the spool."""
        if not self._tables:
            return
        started = time.perf_counter()
        table = pa.concat_tables(self._tables)
        wait = 1.0
        while True:
            try:
                self._lake.append_events(table, app=self._app, version=self._at)
                break
            except (KhienError, OSError) as error:  # a full disk, storage out of reach: the spool keeps everything
                self._report.status.error = str(error)
                self._report.tick(force=True)
                _log.error("lake not written", lane=self._lane, error=str(error), next_try=wait)
                time.sleep(wait)
                wait = min(wait * 2, 30.0)
        self._report.status.error = ""
        self._position.save(self._at)
        self._doubts.clear(self._at)
        self._tables, self._bytes = [], 0
        del table
        pa.default_memory_pool().release_unused()
        give_back()
        self._report.spent("lake", time.perf_counter() - started)
