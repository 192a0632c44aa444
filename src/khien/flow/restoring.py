"""A data folder from a backup."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

from khien.collect.positions import Head, lane_folder
from khien.collect.spool import lanes_of
from khien.flow.backup import BackupError, Manifest, copy, read_manifest
from khien.lake.schema import EVENTS, FINDINGS
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
    _go_on_after(building, manifest.lake or str(building / "lake"))
    for each in building.iterdir():
        each.rename(folder / each.name)
    building.rmdir()
    return manifest


def _go_on_after(folder: Path, lake_root: str) -> None:
    """Let the spool's numbers go on after those that the lake and the alerts have, also if they are newer than it."""
    lake = Lake(lake_root, create=False)
    # Lanes of the spool are below 100; others are streams of findings that the spool knows nothing of.
    taken: dict[int, int] = {}
    if (folder / "alerts.db").exists():
        with contextlib.closing(sqlite3.connect(folder / "alerts.db")) as database:
            taken = dict(database.execute("SELECT lane, position FROM positions WHERE lane < 100"))
    for lane in sorted({*lanes_of(folder / "spool"), *taken}):
        known = [taken.get(lane, 0), lake.version(f"khien-lane-{lane:02d}", EVENTS) or 0]
        known.append(lake.version(f"khien-findings-{lane:02d}", FINDINGS) or 0)
        lane_folder(folder / "spool", lane).mkdir(parents=True, exist_ok=True)
        head = Head(folder / "spool", lane)
        number = head.load()
        head.close()  # it was opened for reading
        if number < max(known):
            head.save(max(known))
            head.close()
