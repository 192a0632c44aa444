"""One followed file: whole lines from where it was read to, in bounded pieces."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from khien.collect.checkpoints import Key, Mark
from khien.collect.line_bounds import bounded

HEAD = 1024
"""How many first bytes tell a file from another one under the same name or inode."""
READ = 256 << 10


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines of a file, each with its line feed; `mark` is where reading goes on after them."""

    data: bytes
    count: int
    mark: Mark
    oversized: int = 0
    partial: bool = False


class Followed:
    """A file that is read from `offset` on. It stays open, so it is read to its end under any name."""

    def __init__(self, path: Path, key: Key, offset: int = 0, skipping: bool = False, head: bytes = b"") -> None:
        self.path = path
        self.key = key
        self.offset = offset
        self.skipping = skipping
        self.head = head
        self.copy_of: Followed | None = None
        """The file this one was copied from: it is not read before that one was cut short."""
        self.gone_since: float | None = None
        """Since when no pattern finds it."""
        self.grew_at = 0.0
        self._size = -1
        self._handle = -1

    def open(self) -> bool:
        """Open the file if it is still the same; whether it is open now. Raises OSError."""
        if self._handle >= 0:
            return True
        handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        found = os.fstat(handle)
        if (found.st_dev, found.st_ino) != self.key or not stat.S_ISREG(found.st_mode):
            os.close(handle)
            return False
        self._handle = handle
        return True

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    @property
    def is_open(self) -> bool:
        """Whether the file is held open."""
        return self._handle >= 0

    def mark(self) -> Mark:
        """Where reading goes on."""
        return Mark(*self.key, str(self.path), self.offset, self.skipping, self.head)

    def size(self, now: float) -> int:
        """Bytes in the file now; notes when that changed."""
        size = os.fstat(self._handle).st_size
        if size != self._size:
            self._size = size
            self.grew_at = now
        return size

    def was_cut_short(self) -> bool:
        """Whether the file begins anew: shorter than what was read of it, or other first bytes.

        A file cut short and written again with the same first bytes, to more than was read before,
        cannot be told.
        """
        if os.fstat(self._handle).st_size < self.offset:
            return True
        return os.pread(self._handle, len(self.head), 0) != self.head if self.head else False

    def restart(self) -> None:
        """Read from the beginning."""
        self.offset, self.skipping, self.head = 0, False, b""

    def headed(self) -> bool:
        """Whether the file starts with lines without which the others mean nothing (Zeek, W3C)."""
        if len(self.head) < HEAD:
            self.head = os.pread(self._handle, HEAD, 0)
        return self.head.startswith((b"#separator", b"#Software:", b"#Version:", b"#Fields:"))

    def header(self) -> bytes:
        """The `#` lines at the start of the file, as far as they were read."""
        begin = os.pread(self._handle, min(self.offset, 16 << 10), 0)
        lines = []
        for line in begin.splitlines(keepends=True):
            if not line.startswith(b"#") or not line.endswith(b"\n"):
                break
            lines.append(line)
        return b"".join(lines)

    def read(self, max_line: int, end: bool, room: int = READ) -> Piece | None:
        """The next whole lines, None when there are none; moves on.

        `end` says that the last line will not be completed: it is taken as it is. About `room` bytes
        are read at most, but always a whole line. A line longer than `max_line` is cut off there.
        """
        if len(self.head) < HEAD:
            self.head = os.pread(self._handle, HEAD, 0)
        begun = self.offset
        data = os.pread(self._handle, max(room, max_line + 1), self.offset)
        if self.skipping:
            first = data.find(b"\n") + 1
            if not first:
                self.offset += len(data)
                return Piece(b"", 0, self.mark()) if data else None
            self.skipping = False
            self.offset += first
            data = data[first:]
        cut = data.rfind(b"\n") + 1
        oversized, partial = 0, False
        if not cut and len(data) > max_line:
            self.offset += len(data)
            self.skipping, oversized = True, 1
            data = data[:max_line] + b"\n"
        elif not cut and end and data:
            self.offset += len(data)
            data, partial = data + b"\n", True
        else:
            self.offset += cut
            data = data[:cut]
            if cut > max_line:
                data, oversized = bounded(data, max_line)
        if self.offset == begun:
            return None
        return Piece(data, data.count(b"\n"), self.mark(), oversized, partial)
