"""Addresses of built files bear a version, so that a browser takes the new ones at once after an upgrade."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.storage import StaticFilesStorage

from khien import __version__


class VersionedStorage(StaticFilesStorage):
    """`/static/khien/app.js?v=...`: the version changes when any of the built files does."""

    def url(self, name: str | None) -> str:
        """The address of a file."""
        return f"{super().url(name)}?v={_version()}"


@cache
def _version() -> str:
    """Read once in a process: its files are those it started with."""
    sha = hashlib.sha256(__version__.encode())
    for folder in settings.STATICFILES_DIRS:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                found = path.stat()
                sha.update(f"{path.name} {found.st_size} {found.st_mtime_ns}".encode())
    return sha.hexdigest()[:10]
