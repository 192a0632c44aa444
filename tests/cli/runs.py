"""Runs the `khien` command as a person does: in a pipe, or at a terminal of a given width."""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

KHIEN = str(Path(sys.executable).with_name("khien"))


def khien(
    *arguments: str | Path, stdin: bytes | None = None, home: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run in pipes. `home`: where the user's data and cache are, so that what is synced there does not matter."""
    return subprocess.run(
        [KHIEN, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, **_homes(home)},
    )


def at_terminal(*arguments: str | Path, columns: int = 80, home: Path | None = None) -> tuple[int, str]:
    """Run at a terminal; the exit code and all that was written to it, with its control codes."""
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {**os.environ, **_homes(home), "TERM": "xterm-256color"}
    environment.pop("COLUMNS", None)
    process = subprocess.Popen(
        [KHIEN, *map(str, arguments)], stdin=follower, stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    written = b""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if select.select([leader], [], [], 0.1)[0]:
            try:
                piece = os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            written += piece
        elif process.poll() is not None:
            break
    os.close(leader)
    return process.wait(timeout=10), written.decode("utf-8", "replace")


def _homes(home: Path | None) -> dict[str, str]:
    return {"XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(home / "cache")} if home else {}
