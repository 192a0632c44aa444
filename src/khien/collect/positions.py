"""How far the lanes of a spool are written, and how far each consumer has come."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

HEAD = struct.Struct("<QQ")
ALL_ONES = (1 << 64) - 1


def lane_folder(folder: Path, lane: int) -> Path:
    """Where lane number `lane` (from 0) of the spool in `folder` stands."""
    return folder / f"lane-{lane:02d}"


class Position:
    """The last sequence number that one consumer has done with for good, in one lane.

    One process writes it; any may read it. The file is replaced as a whole and synced.
    """

    def __init__(self, folder: Path | str, lane: int, consumer: str) -> None:
        self.path = lane_folder(Path(folder), lane) / "positions" / consumer

    def load(self) -> int:
        """The number last saved; 0 when none ever was, or the file is damaged (work is repeated then)."""
        try:
            text = self.path.read_text(encoding="ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            return 0
        return int(text) if text.endswith("\n") and text.strip().isdecimal() else 0

    def save(self, number: int) -> None:
        """Say that every parcel up to and with `number` is done with: its segment may be deleted."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(f".{self.path.name}.new")
        with new.open("w", encoding="ascii") as out:
            out.write(f"{number}\n")
            out.flush()
            os.fsync(out.fileno())
        new.replace(self.path)


def positions(folder: Path, lane: int) -> dict[str, int]:
    """Where every consumer that ever saved a position in this lane stands."""
    place = lane_folder(folder, lane) / "positions"
    names = [each.name for each in place.iterdir() if not each.name.startswith(".")] if place.is_dir() else []
    return {name: Position(folder, lane, name).load() for name in names}


class Head:
    """The last sequence number synced to disk in a lane: written by the spool, read by any process.

    Readers stop here, so nothing is ever worked on that a power failure could still take back.
    """

    def __init__(self, folder: Path, lane: int) -> None:
        self._path = lane_folder(folder, lane) / "head"
        self._handle = -1
        self._known = 0

    def load(self) -> int:
        """The number; 0 before the first; the last one known when the file is damaged."""
        if self._handle < 0:
            try:
                self._handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return 0
        for _ in range(10):
            raw = os.pread(self._handle, HEAD.size, 0)
            if len(raw) == HEAD.size:
                number, inverse = HEAD.unpack(raw)
                if number ^ inverse == ALL_ONES:
                    self._known = number
                    break
            time.sleep(0.0001)  # caught between two halves of a write
        return self._known

    def save(self, number: int) -> None:
        """Publish `number`; the file is written in place, and put right again whenever the spool opens."""
        if self._handle < 0:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        os.pwrite(self._handle, HEAD.pack(number, number ^ ALL_ONES), 0)

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
