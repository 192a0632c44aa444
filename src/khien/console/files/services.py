"""Keeping uploads: hashed as they arrive, synced, under a name that is their hash."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

from khien.console.accounts.models import User
from khien.console.files.models import StoredFile
from khien.console.files.responses import SavedFile

MOST_BYTES = 1 << 30
_DAY = 86_400
_UNSAFE = re.compile(
    r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff\ud800-\udfff]+'
)
_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|COM\d|LPT\d)(?:\.|$)", re.I)


def folder() -> Path:
    """Where the bytes lie."""
    return Path(settings.DATA) / "files"


@dataclass(frozen=True, slots=True)
class Received:
    """An upload that has arrived, hashed and synced, and is not kept yet. `part`: where its bytes lie."""

    part: Path
    sha256: str
    size: int
    name: str
    content_type: str


@contextmanager
def received(uploads: Iterable[UploadedFile], *, most: int = MOST_BYTES) -> Iterator[list[Received]]:
    """Uploads beside those that are kept; which of them `keep` has not taken by the end, are gone again.

    Raises ValidationError when one is empty, larger than `most` bytes, or finds no room.
    """
    arrived: list[Received] = []
    try:
        for upload in uploads:
            arrived.append(_receive(upload, most))  # noqa: PERF401 - those before one that fails are to be known
        yield arrived
    finally:
        for each in arrived:
            each.part.unlink(missing_ok=True)


def keep(upload: Received, by: User | None) -> StoredFile:
    """Keep what was received. Raises ValidationError when there is no room."""
    path = path_of(upload.sha256)
    with _room(upload.name):
        path.parent.mkdir(exist_ok=True, mode=0o750)
        if not path.exists():
            upload.part.chmod(0o440)
            upload.part.rename(path)
            _sync(path.parent)
    return StoredFile.objects.create(
        sha256=upload.sha256,
        size=upload.size,
        name=safe_name(upload.name),
        content_type=upload.content_type,
        uploaded_by=by,
    )


def _receive(upload: UploadedFile, most: int) -> Received:
    place, name = folder(), upload.name or ""
    part = place / f".{uuid.uuid4().hex}.part"
    sha, size = hashlib.sha256(), 0
    try:
        with _room(name):
            place.mkdir(parents=True, exist_ok=True, mode=0o750)
            with part.open("xb") as out:
                for chunk in upload.chunks():
                    size += len(chunk)
                    if size > most:
                        raise ValidationError(
                            _("The file %(name)s is larger than %(most)s MB.") % {"name": name, "most": most >> 20}
                        )
                    sha.update(chunk)
                    out.write(chunk)
                out.flush()
                os.fsync(out.fileno())
        if not size:
            raise ValidationError(_("The file %(name)s is empty.") % {"name": name})
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    kind = (upload.content_type or "application/octet-stream").replace("\0", "")
    return Received(part, sha.hexdigest(), size, name, kind[:120])


@contextmanager
def _room(name: str) -> Iterator[None]:
    """A full disk becomes a ValidationError."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ValidationError(_("There is no room left to keep the file %(name)s.") % {"name": name}) from error


def path_of(sha256: str) -> Path:
    """Where the bytes of a hash lie."""
    return folder() / sha256[:2] / sha256


def open_file(stored: StoredFile) -> BinaryIO:
    """The bytes, for reading."""
    return path_of(stored.sha256).open("rb")


def pieces(stored: StoredFile, length: int = 1 << 20) -> Iterator[bytes]:
    """The bytes from beginning to end."""
    with open_file(stored) as handle:
        while piece := handle.read(length):
            yield piece


def is_intact(stored: StoredFile) -> bool:
    """Whether the bytes on disk are still those that were uploaded; not so when they are gone."""
    sha, size = hashlib.sha256(), 0
    try:
        for piece in pieces(stored):
            sha.update(piece)
            size += len(piece)
    except OSError:
        return False
    return sha.hexdigest() == stored.sha256 and size == stored.size


def download(stored: StoredFile) -> SavedFile:
    """A response that is always saved, never shown: what was uploaded may be hostile."""
    return SavedFile(open_file(stored), stored.name)


def safe_name(name: str) -> str:
    """A file name without path, control, invisible or direction-changing characters, that every system takes."""
    safe = _UNSAFE.sub("_", name).strip(" .")[-200:].strip(" .") or "file"
    return f"_{safe}" if _RESERVED.match(safe) else safe


def clear_parts(now: float | None = None) -> int:
    """Take away what broken uploads left behind more than a day ago; how many there were."""
    cleared = 0
    for part in folder().glob(".*.part"):
        try:
            if part.stat().st_mtime < (time.time() if now is None else now) - _DAY:
                part.unlink()
                cleared += 1
        except FileNotFoundError:
            continue
    return cleared


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
