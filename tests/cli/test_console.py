"""`khien console`: serving, stopping, restarting, refusing; real processes and sockets."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from console_databases import OwnDatabase

KHIEN = str(Path(sys.executable).with_name("khien"))
pytestmark = pytest.mark.slow


def _port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _environment(database: OwnDatabase, **changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KHIEN_", "DJANGO_"))}
    return {**kept, **database.environment, **changes}


@contextlib.contextmanager
def _served(folder: Path, database: OwnDatabase, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = _port()
    command = [KHIEN, "console", "serve", "--data", str(folder), "--port", str(port), "--workers", "2", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment(database)
    )
    try:
        line = process.stdout.readline()
        assert "The console answers" in line, process.stderr.read()
        yield process, port
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _children(process: subprocess.Popen[str]) -> dict[str, psutil.Process]:
    found: dict[str, psutil.Process] = {}
    for child in psutil.Process(process.pid).children():
        try:
            arguments = child.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if "khien.console.serving" in arguments:
            role = arguments[arguments.index("khien.console.serving") + 1]
            found[f"{role}-{child.pid}"] = child
    return found


def _ok(port: int) -> bool:
    with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
        return b'"ok"' in answer.read()
    return False


def _eventually(call, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not call():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_it_serves_restarts_what_dies_refuses_a_second_and_stops_with_one_signal(
    tmp_path: Path, own_database: OwnDatabase
) -> None:
    with _served(tmp_path / "console", own_database) as (process, port):
        assert _ok(port)
        before = _children(process)
        assert sorted(name.partition("-")[0] for name in before) == ["web", "web", "worker"]
        for child in before.values():
            child.kill()
        _eventually(lambda: len(set(_children(process)) - set(before)) == 3)
        _eventually(lambda: _ok(port))

        second = subprocess.run(
            [KHIEN, "console", "serve", "--data", str(tmp_path / "console"), "--port", str(_port())],
            capture_output=True,
            text=True,
            env=_environment(own_database),
        )
        assert second.returncode == 2
        assert "another khien console serves" in second.stderr
        taken = subprocess.run(
            [KHIEN, "console", "serve", "--data", str(tmp_path / "other"), "--port", str(port)],
            capture_output=True,
            text=True,
            env=_environment(own_database),
        )
        assert taken.returncode == 2
        assert "cannot listen" in taken.stderr

        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - started < 15
        assert not _ok(port)
    assert own_database.rows(tmp_path / "console", "SELECT holder FROM upkeep_lease") == [("",)]


def test_nothing_is_left_running_when_the_supervisor_is_killed(tmp_path: Path, own_database: OwnDatabase) -> None:
    with _served(tmp_path / "console", own_database) as (process, _):
        children = list(_children(process).values())
        process.kill()
        process.wait()
        psutil.wait_procs(children, timeout=20)
        assert [child for child in children if child.is_running()] == []
    with _served(tmp_path / "console", own_database) as (_, port):  # and it starts again at once
        assert _ok(port)


def test_it_serves_https_with_a_certificate(tmp_path: Path, own_database: OwnDatabase) -> None:
    import ssl

    import trustme

    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(tmp_path / "key.pem")
    for number, blob in enumerate(server.cert_chain_pems):
        blob.write_to_path(tmp_path / "cert.pem", append=number > 0)
    options = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    with _served(tmp_path / "console", own_database, *options) as (_, port):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with urlopen(f"https://127.0.0.1:{port}/health", context=context, timeout=20) as answer:
            assert answer.status == 200


def _refused(database: OwnDatabase, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [KHIEN, "console", *arguments], capture_output=True, text=True, env=_environment(database, **environment)
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, own_database: OwnDatabase) -> None:
    data = ("--data", str(tmp_path / "console"))
    assert "Give --tls-cert and --tls-key" in _refused(own_database, "serve", *data, "--tls-cert", "x.pem")
    assert "cannot be read" in _refused(own_database, "serve", *data, "--tls-cert", "x.pem", "--tls-key", "y.pem")
    (tmp_path / "file").write_text("no folder")
    assert "cannot be written" in _refused(own_database, "serve", "--data", str(tmp_path / "file" / "console"))
    assert "khien console migrate" in _refused(own_database, "serve", *data, "--no-migrate", "--port", str(_port()))
    wrong = _refused(
        own_database, "serve", *data, "--port", str(_port()), KHIEN_DATABASE_URL="postgres://nobody@127.0.0.1:1/none"
    )
    assert "Connection refused" in wrong
    assert "KHIEN_DATABASE_URL" in wrong
    for address in ("nonsense://me:secret@x/y", "mysql://me:secret@x/y", "secret", "postgres://me:secret@x:port/y"):
        more = {"backup": [str(tmp_path / "b")], "restore": [str(tmp_path / "b")], "move": ["--to", "sqlite:///x"]}
        for command in ("serve", "worker", "migrate", "backup", "restore", "move"):
            said = _refused(own_database, command, *more.get(command, []), *data, KHIEN_DATABASE_URL=address)
            assert said.startswith("khien: KHIEN_DATABASE_URL: this is no address of a database"), said
            assert "Write postgres://user:password@host/name" in said
            assert "secret" not in said
            assert "mssql" not in said
    assert "--to: this is no address" in _refused(own_database, "move", "--to", "nonsense://x", *data)


def test_looking_at_a_trail_makes_no_folder(tmp_path: Path) -> None:
    khien = str(Path(sys.executable).with_name("khien"))
    command = [khien, "audit", "verify", "--data", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no such data folder" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_trail_that_has_no_table_yet_is_told_of_in_one_line(tmp_path: Path, own_database: OwnDatabase) -> None:
    (tmp_path / "console").mkdir()
    command = [KHIEN, "audit", "verify", "--data", str(tmp_path / "console")]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(own_database))
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
    assert done.stderr.count("\n") == 1


_FILL = """
from khien.console.notifications import outbox
for number in range(200):
    outbox.post(f"person{number}@example.vn", f"mail {number}", "text")
"""


class _Slow:
    """A mail server that takes its time, and keeps the subjects it took."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def handle_DATA(self, server, session, envelope):
        import asyncio
        import email

        await asyncio.sleep(0.03)
        self.taken.append(str(email.message_from_bytes(envelope.content)["Subject"]))
        return "250 OK"


def test_mails_are_not_lost_when_the_worker_is_killed_again_and_again(
    tmp_path: Path, own_database: OwnDatabase
) -> None:
    from aiosmtpd.controller import Controller

    slow = _Slow()
    controller = Controller(slow, hostname="127.0.0.1", port=_port())
    controller.start()
    data = tmp_path / "console"
    mail = {"KHIEN_MAIL_HOST": "127.0.0.1", "KHIEN_MAIL_PORT": str(controller.port), "KHIEN_MAIL_TLS": "0"}
    for arguments in (["migrate"], ["manage", "shell", "-c", _FILL]):
        subprocess.run(
            [KHIEN, "console", arguments[0], "--data", str(data), *arguments[1:]],
            check=True,
            env=_environment(own_database),
            capture_output=True,
        )
    process = subprocess.Popen(
        [KHIEN, "console", "serve", "--data", str(data), "--port", str(_port()), "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(own_database, **mail),
    )
    kills = 0
    try:
        for goal in (30, 80, 130):
            _eventually(lambda goal=goal: len(slow.taken) >= goal, 120)
            for name, child in _children(process).items():
                if name.startswith("worker"):
                    child.kill()
                    kills += 1
        _eventually(lambda: len(set(slow.taken)) == 200, 120)
        time.sleep(4)  # and no more come
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    finally:
        if process.poll() is None:
            process.kill()
        controller.stop()
    assert kills >= 3
    assert len(slow.taken) <= 200 + kills  # at most the one under way at each kill came twice
    states = "SELECT state, count(*) FROM notifications_mail GROUP BY state"
    assert own_database.rows(data, states) == [("sent", 200)]


def test_the_first_administrator_is_made_from_the_command_line(tmp_path: Path, own_database: OwnDatabase) -> None:
    data = ("--data", str(tmp_path / "console"))
    assert "khien console migrate" in _refused(
        own_database, "create-admin", *data, "--email", "a@example.vn", "--name", "A"
    )
    subprocess.run(
        [KHIEN, "console", "migrate", *data], check=True, env=_environment(own_database), capture_output=True
    )
    done = subprocess.run(
        [KHIEN, "console", "create-admin", *data, "--email", "a@example.vn", "--name", "Mẫu"],
        check=True,
        env=_environment(own_database, KHIEN_ADDRESS="https://khien.example.vn"),
        capture_output=True,
        text=True,
    )
    assert "https://khien.example.vn/account/password/reset/key/" in done.stdout
    assert "Give another e-mail" in _refused(own_database, "create-admin", *data, "--email", "nobody", "--name", "A")
    assert "no such unit" in _refused(
        own_database, "create-admin", *data, "--email", "b@example.vn", "--name", "B", "--unit", "x"
    )
