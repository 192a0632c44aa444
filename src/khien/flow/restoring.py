"""A data folder from a backup."""

from __future__ import annotations

from pathlib import Path

from khien.flow.backup import Manifest, read_manifest
from khien.flow.manifests import BackupError, appear, bring_back
from khien.flow.numbers import go_on_after
from khien.lake.store import Lake


def restore(backup: Path, folder: Path) -> Manifest:
    """Put a backup into an empty data folder, every file compared with its SHA-256; what is in the backup.

    Nothing appears under its own name before all of it is there. Raises BackupError, LakeError or OSError.
    """
    manifest = read_manifest(backup)
    if manifest is None:
        raise BackupError("there is no backup here", str(backup), "Give the folder that khien backup wrote")
    building = bring_back(backup, manifest, folder)
    go_on_after(building / "spool", building / "alerts.db", Lake(manifest.lake or str(building / "lake"), create=False))
    appear(building)
    return manifest
