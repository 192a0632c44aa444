"""`khien console`: the web console of the office and the agencies."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from khien.errors import UsageError
from khien.rules import folders as rule_folders

app = typer.Typer(help="The web console: alerts, incidents, directives and tasks.", no_args_is_help=True)
DataOption = Annotated[Path | None, typer.Option(help="The console's data folder.")]
LiveOption = Annotated[Path | None, typer.Option(help="Data folder of khien up, where alerts come from.")]
DATA, LIVE, SETTINGS = "KHIEN_CONSOLE_DATA", "KHIEN_LIVE_DATA", "DJANGO_SETTINGS_MODULE"
_MOST_WEB = 4


def choose(data: Path | None, live: Path | None = None) -> Path:
    """Settle the folders in the environment, for this process and those it starts; the console's own.

    Raises UsageError for a database address that is none, before anything is begun.
    """
    if address := os.environ.get("KHIEN_DATABASE_URL", ""):
        from khien.console.database_address import parts_of

        parts_of(address)
    folder = data or Path(os.environ.get(DATA) or rule_folders.data_folder() / "console")
    os.environ[DATA] = str(folder.resolve())
    if live is not None:
        os.environ[LIVE] = str(live.resolve())
    os.environ.setdefault(SETTINGS, "khien.console.settings")
    return folder.resolve()


def set_up(data: Path | None, live: Path | None = None) -> None:
    """Load Django with the console's settings."""
    import django

    choose(data, live)
    django.setup()


@app.command()
def serve(
    data: DataOption = None,
    live: LiveOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Processes that answer pages; 0: by the cores.")] = 0,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM), to serve HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    migrate: Annotated[bool, typer.Option(help="Bring the database to this version's tables first.")] = True,
) -> None:
    """Run the console: pages and worker. One signal (TERM or INT) stops it gracefully."""
    if (tls_cert is None) != (tls_key is None):
        raise UsageError("a certificate needs its key, and a key its certificate", "", "Give --tls-cert and --tls-key")
    for path, option in ((tls_cert, "--tls-cert"), (tls_key, "--tls-key")):
        if path is not None and not os.access(path, os.R_OK):
            raise UsageError("the file cannot be read", str(path), f"Mend {option}")
    folder = choose(data, live)
    with _alone(folder), _listening(host, port) as listener:
        _tables(migrate)
        from khien.console.serving import Supervisor, WebSettings
        from khien.flow.logs import set_up_logs

        set_up_logs("console")
        ending = threading.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: ending.set())
        proxy = os.environ.get("KHIEN_BEHIND_PROXY", "").lower() in ("1", "true", "yes", "on")
        web = WebSettings(
            tls_cert=str(tls_cert.resolve()) if tls_cert else "",
            tls_key=str(tls_key.resolve()) if tls_key else "",
            proxy=os.environ.get("KHIEN_PROXY_ADDRESSES", "127.0.0.1,::1") if proxy else "",
        )
        shown = f"[{host}]" if ":" in host else host
        address = f"{'https' if tls_cert else 'http'}://{shown}:{port}"

        def ready() -> None:
            typer.echo(f"The console answers at {address} (data: {folder})")
            sys.stdout.flush()

        count = workers or min(os.cpu_count() or 1, _MOST_WEB)
        Supervisor(listener, web, count).run(ending.is_set, ready)


@app.command()
def worker(data: DataOption = None, live: LiveOption = None) -> None:
    """Run a worker alone, such as on another machine beside the same PostgreSQL. One works, others stand by."""
    folder = choose(data, live)
    _made(folder)
    from khien.console import serving
    from khien.flow.logs import set_up_logs

    set_up_logs("console-worker")
    serving.work()


@app.command("create-admin")
def create_admin(
    email: Annotated[str, typer.Option(help="E-mail, the account's name.")],
    name: Annotated[str, typer.Option(help="The person's name.")],
    unit: Annotated[str, typer.Option(help="Code of the unit; default: the standing office, made if missing.")] = "",
    data: DataOption = None,
) -> None:
    """Make the first administrator and print a link that sets the password; for one that exists, a new link."""
    set_up(data)
    from django.core.exceptions import ObjectDoesNotExist, ValidationError
    from django.db import DatabaseError

    from khien.console.accounts.first_administrator import create_administrator

    try:
        user, link = create_administrator(email, name, unit)
    except ValidationError as error:
        raise UsageError(" ".join(error.messages).rstrip("."), email, "Give another e-mail") from error
    except ObjectDoesNotExist as error:
        raise UsageError("there is no such unit", unit, "Give the code of a unit, or leave --unit out") from error
    except DatabaseError as error:
        raise UsageError(
            f"the database cannot be used: {first_line(error)}", "", "Run: khien console migrate"
        ) from error
    typer.echo(f"{user.name} <{user.email}>, administrator of {user.unit}")
    typer.echo(f"This link sets the password, once, within three days:\n{link}")


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="An empty folder, or that of an earlier backup.")],
    data: DataOption = None,
) -> None:
    """Back up database, files and key while the console runs; of the files only new ones are copied again."""
    from khien.console.backup import back_up, database_of
    from khien.findings.table import bytes_text, counted

    folder = choose(data)
    taken = back_up(folder, database_of(folder, os.environ.get("KHIEN_DATABASE_URL", "")), target)
    sizes = f"{bytes_text(taken.size)}, of which {bytes_text(taken.copied)} were copied now"
    typer.echo(f"{counted(len(taken.files), 'file')}, {sizes}")
    for path in taken.damaged:
        typer.echo(f"damaged: {path}: its bytes are not what its name says; look at the disk, and at earlier backups")
    if taken.damaged:
        raise typer.Exit(3)


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a backup.")],
    data: DataOption = None,
) -> None:
    """Bring a backup back into an empty data folder, and into an empty database where it was PostgreSQL's."""
    from khien.console.backup import database_of
    from khien.console.backup import restore as bring_back

    folder = choose(data)
    url = os.environ.get("KHIEN_DATABASE_URL", "")
    manifest = bring_back(backup.resolve(), folder, database_of(folder, url))
    typer.echo(f"restored the backup of {manifest.taken} into {folder}")


@app.command()
def sample(data: DataOption = None) -> None:
    """Make an invented province to look at, in an empty database, and print how to sign in; safe to repeat."""
    set_up(data)
    from khien.console.sample.codes import otpauth
    from khien.console.sample.province import make

    logins = make()
    widest = max(len(login.email) for login in logins)
    typer.echo(f"Sample logins, all with the password {logins[0].password}")
    for login in logins:
        typer.echo(f"  {login.email:<{widest}}  {login.role:<16}{login.unit}")
    typer.echo("Roles with a second factor; a code of now: khien console sample-code E-MAIL")
    for login in logins:
        if login.secret:
            typer.echo(f"  {login.email:<{widest}}  {otpauth(login)}")


@app.command("sample-code")
def sample_code(
    email: Annotated[str, typer.Argument(metavar="E-MAIL", help="Of a person of the sample; the part before @ does.")],
    data: DataOption = None,
) -> None:
    """Print the second factor's code of now of a person of the sample province."""
    set_up(data)
    from khien.console.sample.codes import current_code, login_of

    login = login_of(email)
    if login is None or not login.secret:
        raise UsageError("no person of the sample with a second factor", email, "Run: khien console sample")
    code, seconds = current_code(login.secret)
    typer.echo(f"{code}  (good for {seconds} s)")


@app.command("move")
def move(
    to: Annotated[str, typer.Option(help="Address of the new, empty database, e.g. postgres://user@host/name.")],
    data: DataOption = None,
) -> None:
    """Copy everything into another database while the console is stopped, such as from SQLite to PostgreSQL."""
    folder = choose(data)
    old = os.environ.get("KHIEN_DATABASE_URL", "") or f"sqlite:///{folder / 'console.db'}"
    if to == old:
        raise UsageError("this is the database in use", to, "Give another with --to")
    from khien.console.database_address import parts_of

    parts_of(to, where="--to")
    with _alone(folder):
        os.environ["KHIEN_DATABASE_URL"] = to
        set_up(data)
        from django.db import DatabaseError

        from khien.console.moving import move as copy_all
        from khien.console.moving import open_old

        open_old(parts_of(old))
        try:
            total = copy_all(lambda name, count: typer.echo(f"{count:>12,}  {name}") if count else None)
        except DatabaseError as error:
            raise UsageError(f"the rows cannot be copied: {first_line(error)}", "", "Nothing was changed") from error
    typer.echo(f"{total:,} rows copied. Set KHIEN_DATABASE_URL to the new address, and start the console")


@app.command()
def migrate(data: DataOption = None) -> None:
    """Bring the database to this version's tables; safe to repeat."""
    set_up(data)
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def manage(context: typer.Context, data: DataOption = None) -> None:
    """Any management command of Django, such as `shell` or `dbshell`."""
    set_up(data)
    from django.core.management import execute_from_command_line

    execute_from_command_line(["khien console manage", *context.args])


def first_line(error: Exception) -> str:
    """What a database says is wrong, without the statement that PostgreSQL shows below it."""
    return str(error).partition("\n")[0]


def _made(folder: Path) -> None:
    """Make the data folder. Raises UsageError where one cannot write in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        trial = folder / f".trial-{os.getpid()}"
        trial.touch()
        trial.unlink()
    except OSError as error:
        remedy = "Mend its rights, or name another folder with --data"
        raise UsageError(f"the data folder cannot be written: {error.strerror}", str(folder), remedy) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the data folder: of two consoles in one, each would miss the other's files."""
    _made(folder)
    with (folder / "serve.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remedy = "Stop it first, or name another folder with --data"
            raise UsageError("another khien console serves from this data folder", str(folder), remedy) from None
        yield


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """The listening socket that the page processes share. Raises UsageError."""
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(2048)
        listener.setblocking(False)
    except OSError as error:
        remedy = "Stop what uses the port, or choose another with --host and --port"
        raise UsageError(f"cannot listen: {error.strerror or error}", f"{host}:{port}", remedy) from error
    with listener:
        yield listener


def _tables(migrating: bool) -> None:
    """Bring the tables to this version in a process of its own, or say that they are not."""
    arguments = ["migrate", "--no-input"] if migrating else ["migrate", "--check"]
    command = [sys.executable, "-m", "django", *arguments, "--verbosity", "0"]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - our own
    if done.returncode == 0:
        return
    if not migrating and not done.stderr.strip():
        raise UsageError("the database has the tables of another version", "", "Run: khien console migrate")
    raise UsageError(
        f"the database cannot be used: {_reason(done.stderr)}", "", "Look at KHIEN_DATABASE_URL and the data folder"
    )


def _reason(said: str) -> str:
    """Of what a failed process said, what went wrong: the last error's first line, without its type."""
    lines = [line for line in said.splitlines() if re.match(r"[\w.]+(Error|Exception)\w*: |CommandError: ", line)]
    return lines[-1].partition(": ")[2] if lines else (said.strip().splitlines() or ["no reason given"])[-1].strip()
