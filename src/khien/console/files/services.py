"""Keeping uploads: hashed as they arrive, synced, under a name that is their hash."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse
from django.utils.translation import gettext as _

from khien.console.accounts.models import User
from khien.console.files.models import StoredFile

MOST_BYTES = 1 << 30
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\u202a-\u202e\u2066-\u2069]+')


def folder() -> Path:
    """Where the bytes lie."""
    return Path(settings.DATA) / "files"


def store(upload: UploadedFile, by: User | None, *, most: int = MOST_BYTES) -> StoredFile:
    """Keep an upload. Raises ValidationError when it is larger than `most` bytes or empty."""
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


def download(stored: StoredFile) -> FileResponse:
    """A response that is always saved, never shown: what was uploaded may be hostile."""
    response = FileResponse(open_file(stored), as_attachment=True, filename=stored.name)
    response["Content-Type"] = "application/octet-stream"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def safe_name(name: str) -> str:
    """A file name without path, control or direction-changing characters."""
    return _UNSAFE.sub("_", name).strip(" .")[-200:] or "file"


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
