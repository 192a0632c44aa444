"""Runs a command with KHIEN_DATABASE_URL set to a PostgreSQL of its own: `python tests/postgres.py pytest -m database`.

The cluster lives in a temporary folder, listens on a socket in it alone, and is gone afterwards. Where PostgreSQL is
not installed that is said, and the exit code is 0 unless CI is set.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def _binary(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


def main(command: list[str]) -> int:
    """The command's exit code."""
    initdb, control = _binary("initdb"), _binary("pg_ctl")
    if not initdb or not control:
        print("PostgreSQL is not installed here: the console was tested on SQLite only", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    folder = Path(tempfile.mkdtemp(prefix="khien-postgres-"))
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        as_user = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    data = folder / "data"
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder}
    try:
        subprocess.run(
            [*as_user, initdb, "-D", str(data), "-U", "khien", "-A", "trust", "-E", "UTF8", "--no-sync"], **quiet
        )
        # Speed before safety: nothing in it is kept.
        options = f"-k {folder} -h '' -c fsync=off -c full_page_writes=off -c synchronous_commit=off"
        log = str(folder / "log")
        subprocess.run([*as_user, control, "-D", str(data), "-o", options, "-l", log, "-w", "start"], **quiet)
        try:
            url = f"postgres://khien@{str(folder).replace('/', '%2F')}/postgres"
            return subprocess.run(command, env={**os.environ, "KHIEN_DATABASE_URL": url}).returncode
        finally:
            subprocess.run([*as_user, control, "-D", str(data), "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
