"""How far the files of a source were read: marks that move only with what is in the spool."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from khien.collect.segments import Parcel
from khien.errors import KhienError

_TABLES = """
CREATE TABLE IF NOT EXISTS marks (
    device INTEGER, inode INTEGER, path TEXT NOT NULL, offset INTEGER NOT NULL, skipping INTEGER NOT NULL,
    head BLOB NOT NULL, PRIMARY KEY (device, inode)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (
    one INTEGER PRIMARY KEY CHECK (one = 1), lane INTEGER NOT NULL, after INTEGER NOT NULL, received INTEGER NOT NULL,
    size INTEGER NOT NULL, checksum INTEGER NOT NULL, moves TEXT NOT NULL
);
"""
Key = tuple[int, int]
"""Device and inode of a file."""


class CheckpointError(KhienError):
    """The checkpoints of a source cannot be used."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a file was read: `offset` bytes, its first bytes being `head`.

    `skipping` says that the offset is inside a line too long to be taken.
    """

    device: int
    inode: int
    path: str
    offset: int
    skipping: bool
    head: bytes

    @property
    def key(self) -> Key:
        """What the file is known by, whatever its name."""
        return self.device, self.inode


@dataclass(frozen=True, slots=True)
class Pending:
    """A parcel that was about to be appended to a lane, after the number `after`."""

    lane: int
    after: int
    received: int
    size: int
    checksum: int

    def is_(self, parcel: Parcel) -> bool:
        """Whether it is this parcel."""
        return self == Pending(self.lane, self.after, *_print(parcel))


class Checkpoints:
    """The marks of one source, in an SQLite file that one process may have open.

    Before a parcel is appended, `intend` writes down what the marks will be after it; afterwards
    `settle` makes them so, at the latest with the next `intend`. After a crash in between,
    `pending` tells which parcel to look for in the spool.
    Raises CheckpointError. Methods may be called from any thread, one at a time.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(file, timeout=0.5, isolation_level=None, check_same_thread=False)
            self._database.executescript(
                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _TABLES
            )
        except (sqlite3.Error, OSError) as error:
            raise self._error(error) from error

    def marks(self) -> dict[Key, Mark]:
        """All marks by device and inode."""
        try:
            rows = self._database.execute("SELECT device, inode, path, offset, skipping, head FROM marks").fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from error
        found = (Mark(row[0], row[1], row[2], row[3], bool(row[4]), row[5]) for row in rows)
        return {mark.key: mark for mark in found}

    def pending(self) -> Pending | None:
        """The parcel of which it is not known whether it is in the spool."""
        try:
            row = self._database.execute("SELECT lane, after, received, size, checksum FROM pending").fetchone()
        except sqlite3.Error as error:
            raise self._error(error) from error
        return Pending(*row) if row else None

    def intend(self, lane: int, after: int, parcel: Parcel, moves: Iterable[Mark]) -> None:
        """Write down that a parcel will be appended, with the marks after it; settles the one before."""
        texts = [(*astuple(mark)[:5], mark.head.hex()) for mark in moves]
        values = (1, lane, after, *_print(parcel), json.dumps(texts))
        self._write([*self._settling(), ("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?, ?, ?, ?)", values)])

    def settle(self) -> None:
        """The pending parcel is in the spool: its marks hold."""
        if steps := self._settling():
            self._write(steps)

    def drop(self) -> None:
        """The pending parcel is not in the spool: the marks before it hold."""
        self._write([("DELETE FROM pending", ())])

    def put(self, moves: Iterable[Mark], gone: Iterable[Key] = ()) -> None:
        """Set marks that need no parcel, and forget files that are gone."""
        steps: list[tuple[str, tuple[object, ...]]] = [(_PUT, astuple(mark)) for mark in moves]
        steps += [("DELETE FROM marks WHERE device = ? AND inode = ?", key) for key in gone]
        if steps:
            self._write([*self._settling(), *steps])

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _settling(self) -> list[tuple[str, tuple[object, ...]]]:
        row = self._database.execute("SELECT moves FROM pending").fetchone()
        if row is None:
            return []
        moves = [(*values[:5], bytes.fromhex(values[5])) for values in json.loads(row[0])]
        return [*((_PUT, values) for values in moves), ("DELETE FROM pending", ())]

    def _write(self, steps: Iterable[tuple[str, tuple[object, ...]]]) -> None:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for statement, values in steps:
                self._database.execute(statement, values)
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise self._error(error) from error

    def _error(self, error: Exception) -> CheckpointError:
        if "locked" in str(error):
            return CheckpointError("another process follows these files", str(self._file), "Stop it first")
        what = f"the checkpoints cannot be used: {error}"
        return CheckpointError(
            what, str(self._file), "Check the disk; without this file, files are read from their start"
        )


_PUT = "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?, ?)"


def _print(parcel: Parcel) -> tuple[int, int, int]:
    return parcel.received, len(parcel.data), zlib.crc32(parcel.data)
