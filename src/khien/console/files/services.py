"""Keeping uploads: hashed as they arrive, synced, under a name that is their hash."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterator
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


def store(upload: UploadedFile, by: User | None, *, most: int = MOST_BYTES) -> StoredFile:
    """Keep an upload. Raises ValidationError when it is empty, larger than `most` bytes, or finds no room."""
    place = folder()
    place.mkdir(parents=True, exist_ok=True, mode=0o750)
    part = place / f".{uuid.uuid4().hex}.part"
    sha, size = hashlib.sha256(), 0
    try:
        with part.open("xb") as out:
            for chunk in upload.chunks():
                size += len(chunk)
                if size > most:
                    raise ValidationError(
                        _("The file %(name)s is larger than %(most)s MB.") % {"name": upload.name, "most": most >> 20}
                    )
                sha.update(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        if not size:
            raise ValidationError(_("The file %(name)s is empty.") % {"name": upload.name})
        path = path_of(sha.hexdigest())
        path.parent.mkdir(exist_ok=True, mode=0o750)
        if path.exists():
            part.unlink()
        else:
            part.chmod(0o440)
            part.rename(path)
            _sync(path.parent)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ValidationError(_("There is no room left to keep the file %(name)s.") % {"name": upload.name}) from error
    finally:
        part.unlink(missing_ok=True)
    return StoredFile.objects.create(
        sha256=sha.hexdigest(),
        size=size,
        name=safe_name(upload.name or ""),
        content_type=(upload.content_type or "application/octet-stream")[:120],
        uploaded_by=by,
    )


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
