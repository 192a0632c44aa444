"""The console's secret key: made once, kept in its data folder, readable by its owner only."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def secret_key(folder: Path) -> str:
    """The key from KHIEN_SECRET_KEY, or from `secret.key` in the folder, which is made when missing."""
    given = os.environ.get("KHIEN_SECRET_KEY", "")
    if given:
        return given
    path = folder / "secret.key"
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    part = folder / f".secret.{os.getpid()}"
    part.touch(mode=0o600)
    part.write_text(secrets.token_urlsafe(48), encoding="ascii")
    with contextlib.suppress(FileExistsError):  # whoever comes first makes the key; all use that one
        path.hardlink_to(part)
    part.unlink()
    return path.read_text(encoding="ascii").strip()
