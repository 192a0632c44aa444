"""A backup of the live service while it runs, into a folder that later backups add to.

The order makes it consistent. First every segment of the spool gets a second name, so that nothing of it is
freed; then alerts and lake are copied, which both know how far they have come; at last the spool and the marks of
followed files, as they are at one moment, while the collector is halted. So the spool holds whatever alerts
and lake do not have yet, and its numbers go on after theirs. A restored service finds what a power
failure at that moment would have left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from khien.collect.positions import lane_folder
from khien.collect.segments import segments
from khien.collect.spool import lanes_of
from khien.flow import manifests
from khien.flow.manifests import BackupError
from khien.flow.settings import FlowSettings
from khien.flow.status import read_all
from khien.lake.schema import KINDS, TableKind
from khien.lake.sketch import sketch_path
from khien.lake.store import Lake, data_files

MANIFEST = "backup.json"
HOLD = "held-for-backup"
_LASTING = "lake"
_ATTEMPTS = 5
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(\..+)?\.parquet")
_HALT_SECONDS = 5.0


class Manifest(manifests.Manifest):
    """What makes up a backup. `lake`: where the lake lies if it is not in the backup."""

    lake: str


@dataclass(slots=True)
class Taken(manifests.Taken):
    """What a backup did, and how long the collector was halted."""

    halted: float = 0.0


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a backup's folder; None where there is none. Raises BackupError."""
    return manifests.read(folder, MANIFEST, Manifest)


def back_up(settings: FlowSettings, target: Path) -> Taken:
    """Back up a data folder into `target`; the last good backup there stays until this one is whole.

    Needs the rights of the user that runs the service. Raises BackupError, LakeError or OSError.
    """
    if not settings.folder.is_dir():
        raise BackupError("there is no data folder", str(settings.folder), "Name it with --data")
    target = target.resolve()
    manifests.prepare(settings.folder, target, 0o750)
    before = read_manifest(target)
    manifests.demand_own(target, before, _LASTING)
    state = manifests.new_state()
    local = Lake(settings.lake_root, settings.lake_options or None).storage.local
    taken = Taken()
    with _held(settings.spool):
        _copy_alerts(settings, target, state, taken)
        if local is not None:
            for kind in KINDS:
                _copy_table(settings, kind, local, target, before, taken)
        sizes = _snapshot(settings, target, state, taken)
        for lane, name, size in sizes:
            held = settings.spool / HOLD / f"lane-{lane:02d}" / name
            taken.take(held, target, f"{state}/spool/lane-{lane:02d}/{name}", size)
    _copy_rest(settings, target, state, taken)
    where = "" if local is not None else settings.lake_root
    manifests.finish(target, MANIFEST, Manifest, state, taken, _LASTING, lake=where)
    return taken


@contextlib.contextmanager
def _held(spool: Path) -> Iterator[None]:
    """Give every segment a second name, so that it stays until the backup is done."""
    spool.mkdir(parents=True, exist_ok=True)
    with (spool / "backup.lock").open("w") as claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError("another backup is at work", str(spool), "Wait until it is done") from None
        shutil.rmtree(spool / HOLD, ignore_errors=True)
        try:
            _hold(spool)
            yield
        finally:
            shutil.rmtree(spool / HOLD, ignore_errors=True)


def _hold(spool: Path) -> None:
    for lane in lanes_of(spool):
        place = spool / HOLD / f"lane-{lane:02d}"
        place.mkdir(parents=True, exist_ok=True)
        for segment in segments(lane_folder(spool, lane)):
            # One that is freed at this moment, alerts and lake have already.
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                (place / segment.path.name).hardlink_to(segment.path)


def _copy_alerts(settings: FlowSettings, target: Path, state: str, taken: Taken) -> None:
    if not settings.alerts.exists():
        return
    copied = target / state / "alerts.db.copy"
    copied.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{settings.alerts}?mode=ro", uri=True, timeout=60)) as source,
            contextlib.closing(sqlite3.connect(copied)) as out,
        ):
            source.backup(out)
            out.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise BackupError(f"the alerts cannot be copied: {error}", str(settings.alerts)) from error
    taken.take(copied, target, f"{state}/alerts.db")
    copied.unlink()


def _copy_table(
    settings: FlowSettings, kind: TableKind, root: Path, target: Path, before: Manifest | None, taken: Taken
) -> None:
    """The files of a table at one version of it, those first that the backup does not have; then its log."""
    for attempt in range(_ATTEMPTS):
        try:
            lake = Lake(settings.lake_root, settings.lake_options or None)
            table = lake.table(kind)
            files, version = data_files(table), table.version()
            names = [f"{kind.name}/{file.path}" for file in files]
            names += [name for file in files if (root / (name := sketch_path(kind.name, file.path))).exists()]
            for name in names:
                _keep(root / name, target, f"lake/{name}", before, taken)
            for name in _log_of(root / kind.name / "_delta_log", version):
                place = f"{kind.name}/_delta_log/{name}"
                _keep(root / place, target, f"lake/{place}", before, taken)
            return
        except FileNotFoundError:  # the log was cut, or a sketch's file went
            if attempt == _ATTEMPTS - 1:
                raise


def _keep(source: Path, target: Path, name: str, before: Manifest | None, taken: Taken) -> None:
    """A file that never changes once it is written: copied, unless the backup has it."""
    known = before.files.get(name) if before is not None else None
    if known is not None:
        with contextlib.suppress(FileNotFoundError):
            if source.stat().st_size == known.size == (target / name).stat().st_size:
                taken.files[name] = known
                return
    taken.take(source, target, name)


def _log_of(folder: Path, version: int) -> list[str]:
    """The files of a Delta log that tell the table's state at a version."""
    found = [match for each in folder.iterdir() if (match := _CHECKPOINT.fullmatch(each.name))]
    start = max((int(match[1]) for match in found if int(match[1]) <= version), default=-1)
    names = [match[0] for match in found if int(match[1]) == start]
    return names + [f"{number:020d}.json" for number in range(max(start, 0), version + 1)]


def _snapshot(settings: FlowSettings, target: Path, state: str, taken: Taken) -> list[tuple[int, str, int]]:
    """Spool and marks at one moment: lane, name and bytes of each segment held; small files are copied at once."""
    sizes: list[tuple[int, str, int]] = []
    small: list[tuple[Path, str]] = []
    with _halted(settings, taken):
        _hold(settings.spool)
        for lane in lanes_of(settings.spool):
            held = sorted((settings.spool / HOLD / f"lane-{lane:02d}").iterdir())
            sizes += [(lane, path.name, path.stat().st_size) for path in held]
            head = lane_folder(settings.spool, lane) / "head"
            if head.exists():
                small.append((head, f"{state}/spool/lane-{lane:02d}/head"))
        marks = settings.folder / "checkpoints"
        if marks.is_dir():
            small += [(each, f"{state}/checkpoints/{each.name}") for each in marks.iterdir() if each.is_file()]
        for source, name in small:
            taken.take(source, target, name)
    return sizes


@contextlib.contextmanager
def _halted(settings: FlowSettings, taken: Taken) -> Iterator[None]:
    """Halt the collector for a moment; where none runs, keep one from starting."""
    claim = (settings.spool / "lock").open("a")
    with claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _collector(settings)
        else:
            yield
            return
    started = time.monotonic()
    try:
        os.kill(pid, signal.SIGSTOP)
        while not _is_halted(pid):
            if time.monotonic() - started > _HALT_SECONDS:
                raise BackupError("the collector cannot be halted", f"process {pid}", "Check the disk, and try again")
            time.sleep(0.001)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        taken.halted = time.monotonic() - started


def _collector(settings: FlowSettings) -> int:
    for status in read_all(settings.status):
        if status.name == "collect":
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{status.pid}/cmdline").read_bytes().split(b"\0")
                if b"khien.flow.process" in command and b"collect" in command:
                    return status.pid
    raise BackupError("the collector is just starting", str(settings.folder), "Try again in a few seconds")


def _is_halted(pid: int) -> bool:
    states = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended
        for each in Path(f"/proc/{pid}/task").iterdir():
            states.add((each / "stat").read_text().rpartition(")")[2].split()[0])
        return states <= {"T", "t"}
    return False


def _copy_rest(settings: FlowSettings, target: Path, state: str, taken: Taken) -> None:
    if settings.sources is not None and settings.sources.exists():
        taken.take(settings.sources, target, f"{state}/sources.toml")
    if settings.alarms.exists():
        taken.take(settings.alarms, target, f"{state}/{settings.alarms.name}")
    if settings.set_aside.is_dir():
        for each in settings.set_aside.iterdir():
            if not each.name.startswith("."):
                taken.take(each, target, f"{state}/set-aside/{each.name}")
