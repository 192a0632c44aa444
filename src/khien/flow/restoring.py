"""A data folder from a backup."""

from __future__ import annotations

import shutil
from pathlib import Path

from khien.flow.backup import Manifest, read_manifest
from khien.flow.manifests import BackupError, copy
from khien.flow.numbers import go_on_after
from khien.lake.store import Lake

_BUILDING = ".restoring"


def restore(backup: Path, folder: Path) -> Manifest:
    """Put a backup into an empty data folder, every file compared with its SHA-256; what is in the backup.

    Nothing appears under its own name before all of it is there. Raises BackupError, LakeError or OSError.
    """
    manifest = read_manifest(backup)
    if manifest is None:
        raise BackupError("there is no backup here", str(backup), "Give the folder that khien backup wrote")
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    if any(each.name != _BUILDING for each in folder.iterdir()):
        raise BackupError("the folder is not empty", str(folder), "Move what is in it away, or give another folder")
    building = folder / _BUILDING
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    for name, kept in manifest.files.items():
        place = name.removeprefix(f"{manifest.state}/")
        if copy(backup / name, building / place) != kept:
            shutil.rmtree(building)
            raise BackupError("the file is damaged", str(backup / name), "Take another copy of the backup")
    go_on_after(building / "spool", building / "alerts.db", Lake(manifest.lake or str(building / "lake"), create=False))
    for each in building.iterdir():
        each.rename(folder / each.name)
    building.rmdir()
    return manifest
