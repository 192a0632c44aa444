"""Archives and compressed files read in place: zip, tar, gz, bz2, xz, zst, nested three deep.

Members are streams, never files on disk under their own names, so what a member is called, and
links and devices among them, can do no harm. What a stream may unpack to is limited.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

import zstandard

from khien.errors import InputError, Problem
from khien.formats.format import Report, shortened
from khien.formats.zstd_frames import ZstdStream

Opener = Callable[[], AbstractContextManager[BinaryIO]]

MOST_RATIO = 1_000
"""A member that unpacks to more than this many times its packed size is a bomb (once past `FREE_BYTES`)."""
FREE_BYTES = 64 << 20
MOST_BYTES = 1 << 40
"""No stream may unpack to more than this."""
MOST_MEMBERS = 100_000
MOST_DEPTH = 3
_TAR_MAGIC = (257, b"ustar")
_BROKEN = (
    OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError,
    zstandard.ZstdError, NotImplementedError, RuntimeError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """Something to read inside an archive, or a compressed file's content."""

    label: str
    size: int | None
    open: Opener


def kind_of(head: bytes) -> str | None:
    """Which archive or compression the first bytes tell; None for none."""
    for magic, kind in (
        (b"PK\x03\x04", "zip"),
        (b"PK\x05\x06", "zip"),
        (b"\x1f\x8b\x08", "gz"),
        (b"BZh", "bz2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"\x28\xb5\x2f\xfd", "zst"),
    ):
        if head.startswith(magic):
            return kind
    at, magic = _TAR_MAGIC
    return "tar" if head[at : at + len(magic)] == magic else None


def members(label: str, size: int | None, opener: Opener, report: Report, depth: int = 0) -> Iterator[Member]:
    """What is to be read of a stream: itself where it is no archive, else its members, in their order."""
    try:
        with opener() as stream:
            head = stream.read(512)
    except (*_BROKEN, InputError) as error:
        report(_problem(label, error))
        return
    kind = kind_of(head)
    if kind is None:
        yield Member(label, size, opener)
    elif depth >= MOST_DEPTH:
        report(Problem(label, "", f"archives are nested more than {MOST_DEPTH} deep", "Unpack it first"))
    elif kind == "zip":
        yield from _zip(label, opener, report, depth)
    elif kind == "tar":
        yield from _tar(label, opener, report, depth)
    else:
        inner = Decompressed(label, opener, kind, size)
        yield from members(label, None, inner, report, depth + 1)


def _zip(label: str, opener: Opener, report: Report, depth: int) -> Iterator[Member]:
    try:
        with opener() as stream, zipfile.ZipFile(_seekable(stream)) as archive:
            infos = archive.infolist()
    except (*_BROKEN, InputError) as error:
        report(_problem(label, error))
        return
    if len(infos) > MOST_MEMBERS:
        report(Problem(label, "", f"has more than {MOST_MEMBERS} members; the rest is left out"))
    for at, info in enumerate(infos[:MOST_MEMBERS]):
        name = f"{label}!{info.filename}"
        if info.is_dir() or not info.file_size:
            continue
        if info.external_attr >> 28 == 0xA:
            report(Problem(name, "", "is a link inside an archive and was left out"))
        elif info.flag_bits & 1:
            report(Problem(name, "", "is encrypted", "Unpack it with its password first"))
        else:
            yield from members(name, info.file_size, ZipMember(opener, at, name), report, depth + 1)


def _tar(label: str, opener: Opener, report: Report, depth: int) -> Iterator[Member]:
    found: list[tuple[int, str, int]] = []
    torn = False
    try:
        with opener() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for at, info in enumerate(archive):
                if at >= MOST_MEMBERS:
                    report(Problem(label, "", f"has more than {MOST_MEMBERS} members; the rest is left out"))
                    break
                name = f"{label}!{info.name}"
                if info.isfile():
                    if info.size:
                        found.append((at, name, info.size))
                elif not info.isdir():
                    report(Problem(name, "", "is a link or device inside an archive and was left out"))
    except (*_BROKEN, InputError) as error:
        report(_problem(label, error))
        torn = True
    for at, name, size in found:
        told = torn and at == found[-1][0]
        yield from members(name, size, TarMember(opener, at, name, told), report, depth + 1)


def _seekable(stream: BinaryIO) -> BinaryIO:
    """The stream, or where it cannot seek a copy in an unlinked file."""
    if stream.seekable():
        return stream
    spool = tempfile.SpooledTemporaryFile(max_size=16 << 20)
    while data := stream.read(1 << 20):
        spool.write(data)
    spool.seek(0)
    return cast(BinaryIO, spool)


@dataclass(frozen=True, slots=True)
class Decompressed:
    """Opens the content of a compressed stream."""

    label: str
    opener: Opener
    kind: str
    packed: int | None

    def __call__(self) -> AbstractContextManager[BinaryIO]:
        return self._open()

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        with ExitStack() as stack:
            packed = stack.enter_context(self.opener())
            if self.kind == "gz":
                stream = cast(BinaryIO, gzip.GzipFile(fileobj=packed))
            elif self.kind == "bz2":
                stream = cast(BinaryIO, bz2.BZ2File(packed))
            elif self.kind == "xz":
                stream = cast(BinaryIO, lzma.LZMAFile(packed))
            else:
                stream = cast(BinaryIO, ZstdStream(packed))
            yield cast(BinaryIO, Limited(stream, self.label, self.packed))


@dataclass(frozen=True, slots=True)
class ZipMember:
    """Opens a member of a zip archive by its place."""

    opener: Opener
    place: int
    label: str

    def __call__(self) -> AbstractContextManager[BinaryIO]:
        return self._open()

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        with self.opener() as stream, zipfile.ZipFile(_seekable(stream)) as archive:
            info = archive.infolist()[self.place]
            with archive.open(info) as member:
                yield cast(BinaryIO, Limited(cast(BinaryIO, member), self.label, info.compress_size))


@dataclass(frozen=True, slots=True)
class TarMember:
    """Opens a member of a tar archive by its place. `told`: that it breaks off was reported already."""

    opener: Opener
    place: int
    label: str
    told: bool = False

    def __call__(self) -> AbstractContextManager[BinaryIO]:
        return self._open()

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        with self.opener() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for at, info in enumerate(archive):
                if at == self.place:
                    member = archive.extractfile(info)
                    if member is not None:
                        yield cast(BinaryIO, Limited(cast(BinaryIO, member), self.label, None, self.told))
                        return
        raise InputError("the archive changed while it was read", self.label)


class Limited(io.RawIOBase):
    """A stream that gives what it can until the packed data breaks, and refuses to unpack a bomb.

    `told`: where it breaks was reported already, so it just ends there.
    """

    def __init__(self, stream: BinaryIO, label: str, packed: int | None, told: bool = False) -> None:
        super().__init__()
        self._stream = stream
        self._label = label
        self._told = told
        self._most = MOST_BYTES if packed is None else max(FREE_BYTES, packed * MOST_RATIO)
        self._read = 0
        self._broken: BaseException | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; what unpacks before a fault comes first, then InputError once."""
        if self._broken is not None:
            error, self._broken = self._broken, None
            if isinstance(error, InputError):
                raise error
            raise InputError(_damage(error), self._label, "The rest of it cannot be unpacked") from error
        parts: list[bytes] = []
        left = size if size >= 0 else 1 << 62
        while left > 0:
            try:
                data = self._stream.read(min(left, 1 << 18))
            except (*_BROKEN, InputError) as error:
                if self._told:
                    break
                self._broken = error
                if parts:
                    break
                return self.read(size)
            if not data:
                break
            parts.append(data)
            left -= len(data)
            self._read += len(data)
            if self._read > self._most:
                raise InputError(
                    f"unpacks to more than {self._most >> 20} MB, far more than its packed size",
                    self._label,
                    "It looks like a decompression bomb; the rest was left out",
                )
        return b"".join(parts)


def _damage(error: BaseException) -> str:
    return f"is damaged: {shortened(error)}"


def _problem(label: str, error: BaseException) -> Problem:
    if isinstance(error, InputError):
        return Problem(error.where or label, "", error.what, error.remedy)
    return Problem(label, "", _damage(error), "Copy it again from its source")
