"""What backups of the live service and of the console have in common: files kept under a manifest, and brought back.

Some files are copied anew each time, into a folder of that time (the state); others never change once they are
written, and are copied once. The manifest is written last: until then the backup of before is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from khien import __version__
from khien.collect.segments import sync_folder
from khien.errors import KhienError

VERSION = 1
_CHUNK = 1 << 20
_BUILDING = ".restoring"


class BackupError(KhienError):
    """A backup cannot be taken or restored."""


class Kept(msgspec.Struct, frozen=True):
    """A file of a backup: its bytes and their SHA-256."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, kw_only=True):
    """What makes up a backup: files by their path in its folder. `state`: the folder of what is copied anew."""

    version: int
    khien: str
    taken: str
    state: str
    files: dict[str, Kept]


M = TypeVar("M", bound=Manifest)


@dataclass(slots=True)
class Taken:
    """What a backup did: bytes that it holds, bytes copied this time, its files."""

    size: int = 0
    copied: int = 0
    files: dict[str, Kept] = field(default_factory=dict)

    def take(self, source: Path, target: Path, name: str, size: int | None = None) -> None:
        """Copy a file, or its first `size` bytes, into the backup's folder under a name."""
        self.files[name] = copy(source, target / name, size)
        self.copied += self.files[name].size


def copy(source: Path, target: Path, size: int | None = None) -> Kept:
    """Copy the first `size` bytes of a file (all of them), synced, under its name only when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    digest, done = hashlib.sha256(), 0
    with source.open("rb") as stream, part.open("wb") as out:
        while chunk := stream.read(_CHUNK if size is None else min(_CHUNK, size - done)):
            out.write(chunk)
            digest.update(chunk)
            done += len(chunk)
        out.flush()
        os.fsync(out.fileno())
    part.replace(target)
    return Kept(done, digest.hexdigest())


def read(folder: Path, name: str, kind: type[M]) -> M | None:
    """The manifest of a backup's folder; None where there is none. Raises BackupError."""
    path = folder / name
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        manifest = msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError as error:
        raise BackupError(f"the manifest is damaged: {error}", str(path)) from error
    if manifest.version != VERSION:
        raise BackupError("a newer khien made this backup", str(folder), "Restore it with that version")
    for each in (manifest.state, *manifest.files):
        if Path(each).is_absolute() or ".." in Path(each).parts:
            raise BackupError(f"the manifest names a file outside: {each}", str(path))
    return manifest


def bring_back(backup: Path, manifest: Manifest, folder: Path) -> Path:
    """Copy a backup's files, each compared with its SHA-256, into a hidden folder of an empty one; see `appear`.

    Raises BackupError, and then leaves nothing.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    if any(each.name != _BUILDING for each in folder.iterdir()):
        raise BackupError("the folder is not empty", str(folder), "Move what is in it away, or give another folder")
    building = folder / _BUILDING
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(mode=0o700)
    for name, kept in manifest.files.items():
        if copy(backup / name, building / name.removeprefix(f"{manifest.state}/")) != kept:
            shutil.rmtree(building)
            raise BackupError("the file is damaged", str(backup / name), "Take another copy of the backup")
    return building


def appear(building: Path) -> None:
    """What `bring_back` copied gets its own names."""
    for each in building.iterdir():
        each.rename(building.parent / each.name)
    building.rmdir()
    sync_folder(building.parent)


def prepare(folder: Path, target: Path, mode: int) -> None:
    """Make the folder of a backup. Raises BackupError where it lies in what it backs up, or the other way round."""
    if target.is_relative_to(folder) or folder.is_relative_to(target):
        raise BackupError("a backup cannot lie in what it backs up", str(target), "Give another folder")
    target.mkdir(parents=True, exist_ok=True, mode=mode)


def demand_own(target: Path, before: Manifest | None, lasting: str) -> None:
    """Raises BackupError for a folder without manifest that holds more than an unfinished backup leaves."""
    if before is None and any(not each.name.startswith((".", "state-", lasting)) for each in target.iterdir()):
        raise BackupError("the folder holds other things", str(target), "Give an empty folder, or that of a backup")


def new_state() -> str:
    """The name of the folder of what is copied now."""
    return f"state-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"


def finish(target: Path, name: str, kind: type[M], state: str, taken: Taken, lasting: str, **more: str) -> None:
    """Write the manifest once all it names is on the disk, and delete what earlier and unfinished backups left.

    `lasting`: the folder of files that never change; `more`: what a manifest of this kind has besides.
    """
    for place in {(target / each).parent for each in taken.files}:
        sync_folder(place)
    now = datetime.now(UTC).isoformat()
    manifest = kind(version=VERSION, khien=__version__, taken=now, state=state, files=taken.files, **more)
    written = target / ".manifest"
    written.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    copy(written, target / name)
    written.unlink()
    sync_folder(target)
    for place in target.glob("state-*"):
        if place.name != state:
            shutil.rmtree(place)
    for path in (target / lasting).rglob("*"):
        if path.is_file() and path.relative_to(target).as_posix() not in taken.files:
            path.unlink()
    taken.size = sum(file.size for file in taken.files.values())
