"""From the paths a person gives to readable streams: files, folders, standard input, archives."""

from __future__ import annotations

import io
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from khien.errors import Problem
from khien.formats.archives import kind_of, members
from khien.formats.encodings import Peeked
from khien.formats.format import MAX_LINE, Report

Opener = Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True, slots=True)
class Input:
    """Something to read. `path` is its label; `size` in bytes, None when not known beforehand.

    `splittable`: a plain file, of which several processes may read different ranges. `format`: the name of its
    format where that is known beforehand ("json": of JSON lines). `before`: what its first record counts on from.
    """

    path: str
    size: int | None
    open: Opener
    splittable: bool = False
    format: str = ""
    before: int = 0


class UpTo(io.RawIOBase):
    """A file up to the size it had when it was found, and on to the end of the line there.

    A log that grows while it is read, perhaps by what is found in it, has an end that way.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__()
        self._file = file
        self._size = size
        self._extended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        if whence == os.SEEK_END:
            return self._file.seek(self._size + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place."""
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes."""
        left = self._size - self._file.tell()
        if left <= 0:
            return b""
        data = self._file.read(left if size < 0 else min(size, left))
        if len(data) == left and not self._extended:
            self._extended = True
            if not data.endswith(b"\n"):
                end = self._file.tell()
                self._size += len(self._file.readline(MAX_LINE))
                self._file.seek(end)
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        """The rest of the line, up to `size` bytes."""
        return self._file.readline(-1 if size is None else size) if self._file.tell() < self._size else b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


@dataclass(frozen=True, slots=True)
class _Plain:
    """Opens a plain file, up to the size it had when it was found (0: to its end)."""

    path: str
    size: int

    def __call__(self) -> AbstractContextManager[BinaryIO]:
        file = Path(self.path).open("rb")
        return cast(AbstractContextManager[BinaryIO], UpTo(file, self.size)) if self.size else file


def find_inputs(paths: Sequence[str], report: Report) -> Iterator[Input]:
    """All plain files at or below the paths, folders in sorted order, each file once; "-" is standard input.

    What is no readable file (sockets, devices, broken links, no permission) is reported, and the
    rest goes on. Links to folders inside a folder are not followed.
    """
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if path == "-":
            yield from _piped(report)
        elif os.path.isdir(path):  # noqa: PTH112 - labels stay as the person wrote them
            yield from _walk(path, seen, report)
        else:
            yield from _file(path, seen, report)


def _piped(report: Report) -> Iterator[Input]:
    """Standard input, which may be an archive too: then it is copied to an unlinked file first."""
    stream = Peeked(sys.stdin.buffer)
    if kind_of(stream.head) is None:
        yield Input("-", None, lambda: nullcontext(cast(BinaryIO, stream)))
        return
    spool = tempfile.TemporaryFile()
    while data := stream.read(1 << 20):
        spool.write(data)

    def opened() -> AbstractContextManager[BinaryIO]:
        spool.seek(0)
        return nullcontext(cast(BinaryIO, spool))

    for member in members("-", None, opened, report):
        yield Input(member.label, member.size, member.open)


def _walk(folder: str, seen: set[tuple[int, int]], report: Report) -> Iterator[Input]:
    def refuse(error: OSError) -> None:
        report(Problem(str(error.filename), "", f"the folder cannot be read: {error.strerror}"))

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(files):
            yield from _file(f"{parent.rstrip('/')}/{name}", seen, report)


def _file(path: str, seen: set[tuple[int, int]], report: Report) -> Iterator[Input]:
    try:
        info = Path(path).stat()
    except OSError as error:
        report(Problem(path, "", f"cannot be opened: {error.strerror}", "Check the path and its permissions"))
        return
    if not stat.S_ISREG(info.st_mode):
        report(Problem(path, "", "is not a plain file", "Only files, folders and archives are read"))
        return
    identity = (info.st_dev, info.st_ino)
    if identity in seen:
        return
    seen.add(identity)
    if not os.access(path, os.R_OK):
        report(Problem(path, "", "cannot be opened: permission denied", "Run with the right to read it"))
        return
    if info.st_size == 0 and not path.startswith("/proc/"):
        return
    opener = _Plain(path, info.st_size)
    for member in members(path, info.st_size, opener, report):
        plain = member.open is opener
        yield Input(member.label, member.size, member.open, splittable=plain)
