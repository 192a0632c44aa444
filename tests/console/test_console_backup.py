"""Backing up the console while it serves, and bringing it back elsewhere: real processes, database and files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from console_databases import VENDOR, OwnDatabase
from khien.console.backup import MANIFEST, BackupError, Database, back_up, restore

KHIEN = str(Path(sys.executable).with_name("khien"))
FILL = """
from django.core.files.uploadedfile import SimpleUploadedFile
from khien.console.accounts.models import User
from khien.console.audit.anchors import drop_anchor
from khien.console.audit.services import record
from khien.console.files.services import keep, received
user = User.objects.get()
for number in range({first}, {last}):
    upload = SimpleUploadedFile(f"file-{{number}}.bin", f"evidence {{number}}".encode() * 1000)
    with received([upload]) as (arrived,):
        stored = keep(arrived, user)
    record(user, "file.upload", stored, after={{"sha256": stored.sha256}})
drop_anchor()
"""
ASK = """
import json
from khien.console.files.models import StoredFile
from khien.console.audit.models import Entry
from khien.console.accounts.models import User
print("ASKED" + json.dumps([sorted(StoredFile.objects.values_list("sha256", flat=True)), Entry.objects.count(), User.objects.get().email]))
"""

ALERT = """
from khien.console.accounts.models import User
from khien.console.alerts.models import Alert, AlertFinding
from django.utils import timezone
from khien.console.units.models import Unit
import datetime
now = timezone.now()
alert = Alert(title="Powershell download", key="test", rule_id="test", level=3, unit=Unit.objects.first(), first_at=now, last_at=now)
alert.save()
AlertFinding.objects.create(alert=alert, position=0, record={"event": {"CommandLine": "zebra123 -enc"}})
"""
SEARCH = """
from django.db import connection
from khien.console.alerts import content
with connection.cursor() as cursor:
    cursor.execute(f"SELECT count(*) FROM alerts_content WHERE {content.condition()}", [content.match(["zebra123"])])
    print("FOUND", cursor.fetchone()[0])
"""


def _run(*arguments: str, url: str = "", code: int = 0) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KHIEN_", "DJANGO_"))}
    if url:
        kept["KHIEN_DATABASE_URL"] = url
    done = subprocess.run([KHIEN, *arguments], capture_output=True, text=True, env=kept)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def _ask(data: Path, url: str = "") -> list:
    answer = _run("console", "manage", "--data", str(data), "shell", "-c", ASK, url=url)
    return json.loads(answer.partition("ASKED")[2].splitlines()[0])


def _fill(data: Path, first: int, last: int, url: str = "") -> None:
    _run("console", "manage", "--data", str(data), "shell", "-c", FILL.format(first=first, last=last), url=url)


def _made(data: Path, url: str = "") -> None:
    _run("console", "migrate", "--data", str(data), url=url)
    _run("console", "create-admin", "--data", str(data), "--email", "a@example.vn", "--name", "Mẫu", url=url)
    _fill(data, 0, 5, url)


@contextlib.contextmanager
def _served(data: Path, url: str = "") -> Iterator[int]:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KHIEN_", "DJANGO_"))}
    if url:
        kept["KHIEN_DATABASE_URL"] = url
    command = [KHIEN, "console", "serve", "--data", str(data), "--port", str(port), "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=kept) as process:
        assert "The console answers" in process.stdout.readline()
        yield port
        process.terminate()


@pytest.mark.slow
def test_a_restored_console_answers_its_audit_trail_is_intact_and_its_files_are_what_they_were(
    tmp_path: Path, own_databases: Callable[[], OwnDatabase]
) -> None:
    url, other_url = own_databases().url, own_databases().url
    data, target, elsewhere = tmp_path / "console", tmp_path / "backup", tmp_path / "elsewhere"
    _made(data, url)
    with _served(data, url):
        first = _run("console", "backup", str(target), "--data", str(data), url=url)
        _fill(data, 5, 8, url)
        second = _run("console", "backup", str(target), "--data", str(data), url=url)
    assert "file" in first
    copied = json.loads((target / MANIFEST).read_bytes())
    assert len([name for name in copied["files"] if name.startswith("files/")]) == 8
    assert len(list(target.glob("state-*"))) == 1
    assert "were copied now" in second
    secret = next(target.glob("state-*/secret.key"))
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600

    _run("console", "restore", str(target), "--data", str(elsewhere), url=other_url)
    hashes, entries, email = _ask(elsewhere, other_url)
    assert (hashes, entries, email) == tuple(_ask(data, url))
    assert len(hashes) == 8
    for sha256 in hashes:
        path = elsewhere / "files" / sha256[:2] / sha256
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
        assert stat.S_IMODE(path.stat().st_mode) == 0o440
    assert (elsewhere / "secret.key").read_text() == (data / "secret.key").read_text()
    assert stat.S_IMODE((elsewhere / "secret.key").stat().st_mode) == 0o600
    assert "intact" in _run("audit", "verify", "--data", str(elsewhere), url=other_url)
    with _served(elsewhere, other_url) as port, urlopen(f"http://127.0.0.1:{port}/health") as answer:
        assert json.load(answer) == {"status": "ok"}
    assert "not empty" in _run("console", "restore", str(target), "--data", str(elsewhere), url=other_url, code=2)
    if url:  # the folder is new, its database is not
        arguments = ("console", "restore", str(target), "--data", str(tmp_path / "third"))
        assert "the database is not empty" in _run(*arguments, url=other_url, code=2)


@pytest.mark.slow
@pytest.mark.skipif(VENDOR != "postgresql", reason="needs a PostgreSQL to move to")
def test_everything_moves_from_sqlite_to_postgresql(sqlite_console: Path, own_database: OwnDatabase) -> None:
    data, new = sqlite_console, own_database.url
    _made(data)
    _run("console", "manage", "--data", str(data), "shell", "-c", ALERT)
    told = _run("console", "move", "--to", new, "--data", str(data))
    assert "audit_entry" in told
    assert _ask(data, new) == _ask(data)
    assert "intact" in _run("audit", "verify", "--data", str(data), url=new)
    found = _run("console", "manage", "--data", str(data), "shell", "-c", SEARCH, url=new)
    assert "FOUND 1" in found
    _fill(data, 8, 9, new)  # numbers go on after those moved
    again = _run("console", "move", "--to", new, "--data", str(data), code=2)
    assert "has people in it already" in again


@pytest.fixture
def small(sqlite_console: Path) -> tuple[Path, Database]:
    """A data folder with a database and one file."""
    import sqlite3

    data = sqlite_console
    data.mkdir()
    with contextlib.closing(sqlite3.connect(data / "console.db")) as database:
        database.execute("CREATE TABLE t (x)")
        database.commit()
    (data / "secret.key").write_text("key")
    (data / "mail").mkdir()
    (data / "mail" / "1.log").write_text("a mail")
    (data / "sample-logins.json").write_text("[]")
    (data / "serve.lock").touch()
    content = b"evidence"
    name = hashlib.sha256(content).hexdigest()
    (data / "files" / name[:2]).mkdir(parents=True)
    (data / "files" / name[:2] / name).write_bytes(content)
    (data / "files" / ".upload.part").write_bytes(b"half")
    return data, Database(data / "console.db")


def test_only_what_is_new_of_the_files_is_copied_and_what_is_not_worth_it_is_left_out(small, tmp_path: Path) -> None:
    data, database = small
    first = back_up(data, database, tmp_path / "backup")
    second = back_up(data, database, tmp_path / "backup")
    assert first.copied - second.copied == len(b"evidence")
    names = sorted(name.rpartition("/")[2] for name in second.files)
    assert names == sorted([hashlib.sha256(b"evidence").hexdigest(), "console.db", "secret.key"])


def test_passwords_of_the_sample_in_a_backup_of_before_come_back_for_their_owner_alone(small, tmp_path: Path) -> None:
    data, database = small
    back_up(data, database, tmp_path / "backup")
    place = tmp_path / "backup" / MANIFEST
    manifest = json.loads(place.read_bytes())
    name = f"{manifest['state']}/sample-logins.json"
    (tmp_path / "backup" / name).write_text("[]")
    (tmp_path / "backup" / name).chmod(0o640)
    manifest["files"][name] = {"size": 2, "sha256": hashlib.sha256(b"[]").hexdigest()}
    place.write_text(json.dumps(manifest))
    restore(tmp_path / "backup", tmp_path / "new", Database(tmp_path / "new" / "console.db"))
    assert stat.S_IMODE((tmp_path / "new" / "sample-logins.json").stat().st_mode) == 0o600


def test_a_damaged_backup_is_refused_and_leaves_nothing_half(small, tmp_path: Path) -> None:
    data, database = small
    back_up(data, database, tmp_path / "backup")
    file = next(path for path in (tmp_path / "backup" / "files").rglob("*") if path.is_file())
    file.chmod(0o640)
    file.write_bytes(b"EVIDENCE")
    target = tmp_path / "elsewhere"
    with pytest.raises(BackupError, match="damaged"):
        restore(tmp_path / "backup", target, Database(target / "console.db"))
    assert list(target.iterdir()) == []


def test_a_stored_file_that_rotted_is_told_of_and_does_not_replace_the_good_copy(small, tmp_path: Path) -> None:
    data, database = small
    back_up(data, database, tmp_path / "backup")
    file = next(path for path in (data / "files").rglob("*") if path.is_file() and not path.name.startswith("."))
    file.write_bytes(b"EVIDENCE")
    assert back_up(data, database, tmp_path / "backup").damaged == []  # the good copy stays
    kept = tmp_path / "backup" / file.relative_to(data)
    assert kept.read_bytes() == b"evidence"
    assert back_up(data, database, tmp_path / "new").damaged == [file]


def test_what_cannot_be_is_said(small, tmp_path: Path) -> None:
    data, database = small
    with pytest.raises(BackupError, match="cannot lie in"):
        back_up(data, database, data / "backup")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").touch()
    with pytest.raises(BackupError, match="other things"):
        back_up(data, database, tmp_path / "other")
    with pytest.raises(BackupError, match="no data folder"):
        back_up(tmp_path / "none", database, tmp_path / "backup")
    with pytest.raises(BackupError, match="no backup here"):
        restore(tmp_path / "other", tmp_path / "new", database)
    back_up(data, database, tmp_path / "backup")
    with pytest.raises(BackupError, match="sqlite database"):
        restore(tmp_path / "backup", tmp_path / "new", Database(None, {"NAME": "x"}))
    with pytest.raises(BackupError, match="there already"):
        restore(tmp_path / "backup", tmp_path / "new", database)


def test_a_backup_that_names_files_outside_is_refused(small, tmp_path: Path) -> None:
    data, database = small
    back_up(data, database, tmp_path / "backup")
    place = tmp_path / "backup" / MANIFEST
    manifest = json.loads(place.read_text())
    for name in ("files/../../outside", "/tmp/outside"):
        wrong = {**manifest, "files": {**manifest["files"], name: {"size": 1, "sha256": "0" * 64}}}
        place.write_text(json.dumps(wrong))
        with pytest.raises(BackupError, match="outside"):
            restore(tmp_path / "backup", tmp_path / "back", Database(tmp_path / "back" / "console.db"))
    assert not (tmp_path / "back").exists()
