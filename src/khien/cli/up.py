"""`khien up`: the whole live service in one data folder; `khien status`: how it is."""

from __future__ import annotations

import fcntl
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from khien.cli.hunt import Level
from khien.cli.lake import parse_size
from khien.cli.times import known_zone
from khien.collect.settings import Listen
from khien.collect.sources import load_sources
from khien.errors import UsageError
from khien.flow.logs import set_up_logs
from khien.flow.metrics import ailments
from khien.flow.settings import EXCEPTIONS, FlowSettings
from khien.flow.status import ProcessStatus, as_dict, read_all
from khien.flow.supervising import Supervisor
from khien.rules import folders as rule_folders

_FIRST_SOURCES = """\
# The sources that khien listens to. `khien source key` makes a key and its hash. The manual: docs/collect.md
[listen]
http = ["127.0.0.1:8514"]

# [[source]]
# id = "windows-agents"
# kind = "bulk"
# unit = "Sample unit"
# key = "the hash that khien source key printed"
"""
_STALE = 30.0


def default_folder() -> Path:
    """The data folder where none is named."""
    return rule_folders.data_folder() / "live"


def up(
    data: Annotated[Path | None, typer.Option(help="Data folder; default: in the user's data folder.")] = None,
    sources: Annotated[
        Path | None, typer.Option(help="Sources file; default: sources.toml in the data folder.")
    ] = None,
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", help="Rule files or folders; may be given again.")
    ] = None,
    level: Annotated[Level, typer.Option(help="Findings of this level and above become alerts.")] = Level.low,
    lanes: Annotated[int, typer.Option(min=1, max=64, help="Spool lanes, each with workers of its own.")] = 1,
    lake: Annotated[str, typer.Option(help="Lake: a folder or s3://bucket/prefix; default: in the data folder.")] = "",
    store_seconds: Annotated[float, typer.Option(min=0.5, max=600, help="How often events go into the lake.")] = 10.0,
    keep_days: Annotated[int, typer.Option(min=0, help="Days that events are kept; 0: for ever.")] = 180,
    keep_size: Annotated[str, typer.Option(help="The most that events take on disk, e.g. 500GB.")] = "",
    spool_size: Annotated[str, typer.Option(help="The most that waiting events take on disk.")] = "20GB",
    min_free: Annotated[str, typer.Option(help="What the spool leaves free on its disk.")] = "1GB",
    lateness: Annotated[float, typer.Option(min=0, help="Seconds that events may be late for correlations.")] = 900.0,
    placeholders: Annotated[Path | None, typer.Option(help="YAML file with placeholder values.")] = None,
) -> None:
    """Run the live service: collectors, detection, lake and alerts. One signal (TERM or INT) stops it gracefully."""
    folder = (data or default_folder()).resolve()
    if keep_size:
        parse_size(keep_size, "--keep-size")
    file = sources or folder / "sources.toml"
    if sources is not None and not file.exists():
        raise UsageError("there is no such sources file", str(file), "Mend --sources, or leave it out for a first one")
    with _made(folder, "the data folder", "--data"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        (folder / EXCEPTIONS).mkdir(exist_ok=True, mode=0o750)
        if not file.exists():
            file.write_text(_FIRST_SOURCES, encoding="utf-8")
    config = load_sources(file)  # what is wrong with it is said before anything starts
    if lake and not lake.startswith("s3://"):
        with _made(Path(lake), "the lake's folder", "--lake"):
            Path(lake).mkdir(parents=True, exist_ok=True)
    chosen = rules or [path for path in (rule_folders.starter_folder(), rule_folders.synced_folder()) if path.is_dir()]
    chosen = [*chosen, folder / EXCEPTIONS]
    rule_folders.load(chosen, placeholders)
    settings = FlowSettings(
        folder=folder,
        rules=tuple(path.resolve() for path in chosen),
        sources=file.resolve(),
        cache=rule_folders.cache_folder(),
        lake=lake,
        lanes=lanes,
        level=str(level),
        placeholders=placeholders.resolve() if placeholders else None,
        store_seconds=store_seconds,
        keep_days=keep_days,
        keep_size=keep_size,
        lateness=lateness,
        spool_bytes=parse_size(spool_size, "--spool-size"),
        min_free=parse_size(min_free, "--min-free"),
    )
    ending = threading.Event()
    with _alone(folder):
        _try_ports(config.listen)
        set_up_logs("supervise")
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: ending.set())
        Supervisor(settings).run(ending.is_set)


@contextmanager
def _made(folder: Path, what: str, option: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = f"Mend the rights of its folder, or name another with {option}"
        raise UsageError(f"{what} cannot be made: {error.strerror}", str(folder), remedy) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the data folder: a second service there would take the first one's work away."""
    with _made(folder, "the data folder", "--data"):
        stream = (folder / "lock").open("wb")
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remedy = "Stop it first, or name another folder with --data"
            raise UsageError("another khien up works in this data folder", str(folder), remedy) from None
        yield


def _try_ports(listen: Listen) -> None:
    """Say before anything starts which address cannot be listened on. Raises UsageError."""
    streams = [*listen.http, *listen.https, *listen.syslog_tcp, *listen.syslog_tls]
    kinds = [(socket.SOCK_STREAM, each) for each in streams]
    for kind, address in (*kinds, *((socket.SOCK_DGRAM, each) for each in listen.syslog_udp)):
        try:
            for family, *_, place in socket.getaddrinfo(
                address.host or None, address.port, type=kind, flags=socket.AI_PASSIVE
            ):
                with socket.socket(family, kind) as trial:
                    if kind == socket.SOCK_STREAM:
                        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family == socket.AF_INET6:
                        trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    trial.bind(place)
        except OSError as error:
            remedy = "Stop what uses the port, or choose another in [listen] of the sources file"
            raise UsageError(f"cannot listen: {error.strerror or error}", str(address), remedy) from error


def status(
    data: Annotated[Path | None, typer.Option(help="Data folder; default: in the user's data folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    timezone: Annotated[str, typer.Option(help="Zone of times shown.")] = "Asia/Ho_Chi_Minh",
) -> None:
    """How the live service is: processes, rates, lag, sources, errors. Exit code 3 when something is wrong."""
    zone = known_zone(timezone)
    folder = (data or default_folder()).resolve()
    found = read_all(folder / "status")
    if not found:
        raise UsageError("no live service has run here", str(folder), "Start one with: khien up")
    lanes = sum(1 for each in found if each.name.startswith("detect-"))
    settings = FlowSettings(folder=folder, rules=(), lanes=max(lanes, 1))
    wrong = ailments(settings, found, time.time())
    if json:
        import orjson

        plain = {"processes": [as_dict(each) for each in found], "problems": wrong}
        sys.stdout.buffer.write(orjson.dumps(plain, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        _show(found, wrong, zone)
    if wrong:
        raise typer.Exit(3)


def _show(found: list[ProcessStatus], wrong: list[str], zone: ZoneInfo) -> None:
    console = Console(highlight=False)
    now = time.time()
    table = _table("Processes", "process", "events", "events/s", "behind", "findings", "aside", "seen")
    for each in found:
        age = now - each.at / 1e6
        live = age < _STALE
        behind = f"{each.lag} ({each.lag_seconds:.1f} s)" if each.lag and live else "0" if live else "-"
        rate = f"{each.rate:,.0f}" if live else "-"
        cells = (f"{each.events:,}", rate, behind, f"{each.findings:,}", f"{each.set_aside:,}", _ago(age))
        table.add_row(each.name, *cells, style="" if live else "dim")
    console.print(table)
    stored = {name: source for each in found if each.name.startswith("store-") for name, source in each.sources.items()}
    sources = _table("Sources", "source", "events", "MB", "unparsed", "clock", "last event")
    for name in sorted(stored):
        source = stored[name]
        clock = _apart(source.skew) if source.last_time else ""
        figures = (f"{source.events:,}", f"{source.bytes / 1e6:,.1f}", f"{source.unparsed:,}", clock)
        sources.add_row(name, *figures, _time(source.last_received, zone))
    if stored:
        console.print(sources)
    for problem in wrong:
        console.print("problem: ", problem, style="bold", sep="", markup=False)
    if not wrong:
        console.print("all processes are well")


def _table(title: str, first: str, *figures: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for head in figures:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _ago(seconds: float) -> str:
    return f"{_span(max(seconds, 0))} ago"


def _apart(seconds: float) -> str:
    return f"{'-' if seconds < 0 else '+'}{_span(abs(seconds))}"


def _span(seconds: float) -> str:
    """A length of time, in one unit."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"


def _time(micros: int, zone: ZoneInfo) -> str:
    if not micros:
        return ""
    return datetime.fromtimestamp(micros / 1e6, UTC).astimezone(zone).strftime("%d/%m/%Y %H:%M:%S")
