"""The current SigmaHQ release, fetched over HTTPS into the user's data folder.

Verified before it is used: TLS certificate, SHA-256 where one is given, whole archive (CRCs),
limits, and that nearly all of its rule files are Sigma rules. A new release is unpacked beside the
last good one, then `current` is switched to it in one step; a failure leaves the last good one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import ssl
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from khien.errors import KhienError, RuleError
from khien.rules.documents import SUFFIXES, parse_documents

SIGMA_RELEASE = "https://github.com/SigmaHQ/sigma/releases/latest/download/sigma_all_rules.zip"
MOST_BYTES = 200 << 20
MOST_UNPACKED = 1 << 30
MOST_FILES = 50_000
LEAST_RULES = 100
LEAST_SHARE = 0.95
_RULE_KEYS = ("detection", "correlation", "filter")


class SyncError(KhienError):
    """The rules could not be fetched; those there before are still in use."""


@dataclass(frozen=True, slots=True)
class SyncResult:
    """`changed` is False where the release is the one already there. `folder` holds the rules."""

    folder: Path
    changed: bool
    rules: int
    sha256: str


def sync(
    url: str,
    data_folder: Path,
    sha256: str | None = None,
    context: ssl.SSLContext | None = None,
    timeout: float = 60.0,
    least_rules: int = LEAST_RULES,
) -> SyncResult:
    """Fetch the release archive at `url` into `data_folder/current`. Raises SyncError.

    `sha256`: what the archive must have. `context`: the TLS settings, default those of the system.
    `timeout`: seconds without a byte.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise SyncError("rules are fetched over HTTPS only", url, "Give an https:// address")
    data_folder.mkdir(parents=True, exist_ok=True)
    with _lock(data_folder):
        marker = _read_marker(data_folder)
        with tempfile.TemporaryFile(dir=data_folder) as spool:
            fetched = _fetch(url, cast(BinaryIO, spool), marker, context or ssl.create_default_context(), timeout)
            if fetched is None:
                return SyncResult(data_folder / "current", False, int(str(marker["rules"])), str(marker["sha256"]))
            found, etag = fetched
            if sha256 is not None and found != sha256.lower():
                raise SyncError(f"the archive's SHA-256 is {found}, not {sha256.lower()}", url, "Do not use it")
            if found == marker.get("sha256") and (data_folder / "current").is_dir():
                return SyncResult(data_folder / "current", False, int(str(marker["rules"])), found)
            folder = data_folder / f"release-{found[:16]}"
            rules = _unpack(cast(BinaryIO, spool), folder, url, least_rules)
        _switch(data_folder, folder, {"url": url, "sha256": found, "etag": etag, "rules": rules})
    return SyncResult(data_folder / "current", True, rules, found)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SyncError("another sync is running", str(folder), "Wait for it") from error
        yield


def _read_marker(folder: Path) -> dict[str, object]:
    try:
        marker = json.loads((folder / "current" / ".sync.json").read_text())
    except (OSError, ValueError):
        return {}
    return marker if isinstance(marker, dict) and "rules" in marker else {}


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if urllib.parse.urlsplit(newurl).scheme != "https":
            raise SyncError("the server sends on to an address without HTTPS", newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(
    url: str, spool: BinaryIO, marker: dict[str, object], context: ssl.SSLContext, timeout: float
) -> tuple[str, str] | None:
    """Write the archive to the spool; its SHA-256 and ETag, or None where it has not changed."""
    request = urllib.request.Request(url, headers={"User-Agent": "khien"})  # noqa: S310 - HTTPS was checked
    if marker.get("url") == url and marker.get("etag"):
        request.add_header("If-None-Match", str(marker["etag"]))
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _HttpsOnly())
    digest = hashlib.sha256()
    size = 0
    try:
        with opener.open(request, timeout=timeout) as answer:
            expected = answer.headers.get("Content-Length")
            while data := answer.read(1 << 20):
                size += len(data)
                if size > MOST_BYTES:
                    raise SyncError(f"the archive is larger than {MOST_BYTES >> 20} MB", url)
                digest.update(data)
                spool.write(data)
            if expected is not None and size != int(expected):
                raise SyncError(f"the transfer broke off after {size} of {expected} bytes", url, "Try again")
            return digest.hexdigest(), str(answer.headers.get("ETag") or "")
    except urllib.error.HTTPError as error:
        if error.code == 304:
            return None
        raise SyncError(f"the server answers {error.code} {error.reason}", url, "Try again later") from error
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise SyncError(f"the archive cannot be fetched: {reason}", url, "Check the network and the address") from error
    except Exception as error:
        if isinstance(error, KhienError):
            raise
        raise SyncError(f"the transfer broke off: {error}", url, "Try again") from error


def _unpack(spool: BinaryIO, folder: Path, url: str, least_rules: int) -> int:
    """Write the archive's rule files below the folder; how many there are. Names cannot lead out of it."""
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        good = files = unpacked = 0
        try:
            with zipfile.ZipFile(spool) as archive:
                for info in archive.infolist():
                    name = PurePosixPath(info.filename)
                    if info.is_dir() or name.suffix not in SUFFIXES:
                        continue
                    if name.is_absolute() or ".." in name.parts or "\\" in info.filename:
                        raise SyncError(f"the archive has a file with the path '{info.filename}'", url, "Do not use it")
                    files += 1
                    unpacked += info.file_size
                    if files > MOST_FILES or unpacked > MOST_UNPACKED:
                        raise SyncError("the archive unpacks to more than any release would", url, "Do not use it")
                    data = archive.read(info)
                    good += _is_rule(data)
                    target = part.joinpath(*name.parts)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise SyncError(f"the archive is damaged: {error}", url, "Try again") from error
        if good < least_rules or good < files * LEAST_SHARE:
            raise SyncError(f"only {good} of {files} files in the archive are Sigma rules", url, "Check the address")
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return good


def _is_rule(data: bytes) -> bool:
    try:
        documents = list(parse_documents("", data))
    except RuleError:
        return False
    return bool(documents) and any("title" in d.body and any(key in d.body for key in _RULE_KEYS) for d in documents)


def _switch(data_folder: Path, folder: Path, marker: dict[str, object]) -> None:
    """Make the release the current one, and remove all but it and the one before."""
    (folder / ".sync.json").write_text(json.dumps(marker))
    current = data_folder / "current"
    before = current.resolve() if current.is_symlink() else None
    link = data_folder / ".current"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    link.replace(current)
    handle = os.open(data_folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    for old in data_folder.glob("release-*"):
        if old != folder and old.resolve() != before:
            shutil.rmtree(old, ignore_errors=True)
