"""A backup of the console while it runs, into a folder that later backups add to; and bringing one back.

First what lies in the data folder besides: the key, and the anchors of the audit trail, which must not be newer than
the trail. Then the database at one moment (SQLite's online backup, or `pg_dump`). Then the files: they never change
once they are there and rows name them only afterwards, so each that the database speaks of is in it. None of this
needs Django's settings, so that a backup can be brought back where nothing is yet.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from khien.console.database_address import parts_of
from khien.console.sample import LOGINS
from khien.flow import manifests
from khien.flow.manifests import BackupError

MANIFEST = "console-backup.json"
SECRET = "secret.key"  # noqa: S105 - a file's name
_FILES = "files"
_LEFT_OUT = ("mail", LOGINS)
"""What is not worth keeping: mails that became files for want of a mail server, the sample's passwords."""


class Manifest(manifests.Manifest):
    """What makes up a backup. `database`: sqlite or postgresql."""

    database: str


@dataclass(slots=True)
class Taken(manifests.Taken):
    """What a backup did, and which stored files have bytes that are not theirs."""

    damaged: list[Path] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Database:
    """Where the rows are: a file of SQLite, or the parts of a PostgreSQL address."""

    path: Path | None
    parts: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The word for it in a manifest."""
        return "postgresql" if self.path is None else "sqlite"


def database_of(folder: Path, url: str) -> Database:
    """The database of a data folder: KHIEN_DATABASE_URL's, or `console.db` in it."""
    parts = parts_of(url) if url else {}
    if not parts:
        return Database(folder / "console.db")
    if str(parts["ENGINE"]).endswith("sqlite3"):
        return Database(Path(str(parts["NAME"])))
    return Database(None, parts)


def back_up(folder: Path, database: Database, target: Path) -> Taken:
    """Back up a data folder and its database into `target`; the last good backup there stays until this is whole.

    Raises BackupError or OSError.
    """
    if not folder.is_dir():
        raise BackupError("there is no data folder", str(folder), "Name it with --data")
    folder, target = folder.resolve(), target.resolve()
    manifests.prepare(folder, target, 0o700)
    before = read_manifest(target)
    manifests.demand_own(target, before, _FILES)
    with _alone(target):
        state = manifests.new_state()
        (target / state).mkdir(mode=0o700)
        taken = Taken()
        _take_rest(folder, database, target, state, taken)
        _take_database(database, target, state, taken)
        _take_files(folder, target, before, taken)
        manifests.finish(target, MANIFEST, Manifest, state, taken, _FILES, database=database.kind)
    return taken


def restore(backup: Path, folder: Path, database: Database) -> Manifest:
    """Put a backup into an empty data folder and an empty database, every file compared with its SHA-256.

    Raises BackupError or OSError.
    """
    manifest = read_manifest(backup)
    if manifest is None:
        raise BackupError("there is no backup here", str(backup), "Give the folder that khien console backup wrote")
    if manifest.database != database.kind:
        remedy = "Set KHIEN_DATABASE_URL to one" if manifest.database == "postgresql" else "Unset KHIEN_DATABASE_URL"
        raise BackupError(f"this is a backup of a {manifest.database} database", str(backup), remedy)
    if database.path not in (None, folder / "console.db") and database.path.exists():
        raise BackupError("the database is there already", str(database.path), "Move it away first")
    building = manifests.bring_back(backup, manifest, folder)
    for place in building.rglob("*"):
        if place.is_file():
            place.chmod(_mode(place.relative_to(building)))
    if database.path is None:
        _load(database, building / "console.dump")
        (building / "console.dump").unlink()
    elif database.path != folder / "console.db":
        database.path.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(building / "console.db", database.path)
    manifests.appear(building)
    return manifest


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a backup's folder; None where there is none. Raises BackupError."""
    return manifests.read(folder, MANIFEST, Manifest)


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    with (target / ".lock").open("w") as claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError("another backup is at work", str(target), "Wait until it is done") from None
        yield


def _take(source: Path, target: Path, name: str, taken: Taken) -> None:
    taken.take(source, target, name)
    (target / name).chmod(0o600 if source.name == SECRET else 0o640)


def _take_database(database: Database, target: Path, state: str, taken: Taken) -> None:
    place = target / state
    if database.path is None:
        made = place / "console.dump.copy"
        arguments = ["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={made}"]
        _run_postgresql(database, arguments, "backed up")
        _take(made, target, f"{state}/console.dump", taken)
    else:
        if not database.path.exists():
            raise BackupError("there is no database", str(database.path), "Name the data folder with --data")
        made = place / "console.db.copy"
        try:
            with (
                contextlib.closing(sqlite3.connect(f"file:{database.path}?mode=ro", uri=True, timeout=60)) as source,
                contextlib.closing(sqlite3.connect(made)) as out,
            ):
                source.backup(out)
                out.execute("PRAGMA journal_mode=DELETE")
                if (found := out.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                    raise BackupError(f"the database is damaged: {found}", str(database.path))
        except sqlite3.Error as error:
            raise BackupError(f"the database cannot be copied: {error}", str(database.path)) from error
        _take(made, target, f"{state}/console.db", taken)
    made.unlink()


def _take_rest(folder: Path, database: Database, target: Path, state: str, taken: Taken) -> None:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts) or name.parts[0] in (_FILES, *_LEFT_OUT)
        rows = database.path is not None and path.name.startswith(database.path.name) and path.parent == folder
        if not (hidden or rows or path.suffix == ".lock" or path.is_symlink()) and path.is_file():
            _take(path, target, f"{state}/{name.as_posix()}", taken)


def _take_files(folder: Path, target: Path, before: Manifest | None, taken: Taken) -> None:
    for path in sorted((folder / _FILES).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith(".") or not path.is_file():
            continue
        known = before.files.get(name) if before is not None else None
        if known is not None and (target / name).exists() and (target / name).stat().st_size == known.size:
            taken.files[name] = known
            continue
        with contextlib.suppress(FileNotFoundError):  # one that nothing names any more was swept away
            _take(path, target, name, taken)
            if taken.files[name].sha256 != path.name:
                taken.damaged.append(path)


def _mode(name: Path) -> int:
    if name.name in (SECRET, LOGINS):  # backups of before have the sample's passwords
        return 0o600
    return 0o440 if name.parts[0] == _FILES else 0o640


def _load(database: Database, dump: Path) -> None:
    tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()"
    found = _run_postgresql(database, ["psql", "--tuples-only", "--no-align", f"--command={tables}"], "asked")
    if found.strip() != "0":
        remedy = "Make an empty one and name it in KHIEN_DATABASE_URL"
        raise BackupError("the database is not empty", str(database.parts["NAME"]), remedy)
    arguments = ["pg_restore", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    _run_postgresql(database, [*arguments, f"--dbname={database.parts['NAME']}", str(dump)], "restored")


def _run_postgresql(database: Database, command: list[str], what: str) -> str:
    parts = database.parts
    given = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    environment = {**os.environ, **{name: str(parts[part]) for name, part in given.items() if parts.get(part)}}
    for name, value in (parts.get("OPTIONS") or {}).items():
        if name == "sslmode":
            environment["PGSSLMODE"] = str(value)
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603 - our own words
    except FileNotFoundError:
        remedy = "Install PostgreSQL's client (package postgresql-client)"
        raise BackupError(f"{command[0]} is not here", "", remedy) from None
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise BackupError(f"the database cannot be {what}: {reason[0]}", command[0])
    return done.stdout
