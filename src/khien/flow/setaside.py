"""Events that cannot be worked on: found by halving their parcel, kept aside, so that the rest goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from khien.collect.segments import sync_folder
from khien.collect.spool import Parcel

DEATHS = 2
"""How often work on a parcel may end with its process before the parcel is tried in a child process first."""
CHILD_SECONDS = 20.0
"""How long work on a parcel may take in a child process; it takes far below a second where nothing is wrong."""
TRIES = 2_000
"""How often parts of a parcel are tried at most: what is not told apart by then is set aside together."""
CHILD_TRIES = 200
_SIGN_EVERY = 1.0


class SetAside:
    """Keeps events with the reason: `<worker>-<sequence>-<line>.json`, and the events themselves in `.data` beside it.

    Events that stand side by side are kept together, a line each.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder = folder
        self._worker = worker
        self.count = 0

    def put(self, sequence: int, parcel: Parcel, line: int, event: bytes, reason: str) -> None:
        """Keep an event, or several lines of them from line `line` (from 1) on. Repeating it changes nothing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        count = event.count(b"\n") + 1
        name = f"{self._worker}-{sequence}-{line}"
        note = {
            "reason": reason,
            "source": parcel.source,
            "format": parcel.format,
            "received": parcel.received,
            "sequence": sequence,
            "line": line,
            "events": count,
        }
        _write(self._folder / f"{name}.data", event)
        _write(self._folder / f"{name}.json", msgspec.json.encode(note))
        sync_folder(self._folder)  # the spool will free them
        self.count += count


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)


def culprits(parcel: Parcel, works: Callable[[Parcel], bool], tries: int = TRIES) -> list[int]:
    """The lines (from 0) of a parcel with which `works` is False, found by halving; [] when it works as a whole.

    After so many tries, whole ranges that are not told apart count as guilty.
    """
    lines = parcel.data.split(b"\n")
    ends = len(lines)
    found: list[int] = []
    left = tries

    def narrow(first: int, last: int) -> None:
        nonlocal left
        if not any(line.strip() for line in lines[first:last]) and last - first < ends:
            return
        if left <= 0:
            found.extend(range(first, last))
            return
        left -= 1
        part = b"\n" * first + b"\n".join(lines[first:last]) + b"\n" * (ends - last)
        if works(replace(parcel, data=part)):
            return
        if last - first == 1:
            found.append(first)
            return
        middle = (first + last) // 2
        before = len(found)
        narrow(first, middle)
        narrow(middle, last)
        if len(found) == before:  # only together: none can be told from the others
            found.extend(range(first, last))

    narrow(0, ends)
    return found


def without(parcel: Parcel, lines: list[int]) -> Parcel:
    """The parcel with some of its lines made empty; the others keep their numbers."""
    gone = set(lines)
    kept = [b"" if at in gone else line for at, line in enumerate(parcel.data.split(b"\n"))]
    return replace(parcel, data=b"\n".join(kept))


def survives(
    act: Callable[[Parcel], object], sign: Callable[[], None] = lambda: None, seconds: float = CHILD_SECONDS
) -> Callable[[Parcel], bool]:
    """Try an act on a parcel in a child process: whether that ends well, and in time. `sign()` is called meanwhile."""

    def works(parcel: Parcel) -> bool:
        child = multiprocessing.get_context("fork").Process(target=_quietly, args=(act, parcel, seconds), daemon=True)
        child.start()
        deadline = time.monotonic() + seconds
        while child.is_alive() and (left := deadline - time.monotonic()) > 0:
            sign()
            child.join(min(left, _SIGN_EVERY))
        if child.is_alive():
            child.kill()
            child.join()
            return False
        return child.exitcode == 0

    return works


def _quietly(act: Callable[[Parcel], object], parcel: Parcel, seconds: float) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds + 1)  # ends also when the parent is gone
    try:
        act(parcel)
    except BaseException:
        os._exit(1)
    os._exit(0)


class Doubts:
    """Remembers over crashes which parcel was being worked on when the process died, and how often that was so.

    Work on several parcels may be lost with a process and be repeated: each of them is remembered until
    `clear` says that it is done with.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / worker
        current, self._deaths = self._load()
        if current:  # it was at work when it died
            self._deaths[current] = self._deaths.get(current, 0) + 1
        self._save()

    def begin(self, sequence: int) -> bool:
        """Say that work on a parcel begins; True when that has ended with the process again and again."""
        self._mark(sequence)
        return self._deaths.get(sequence, 0) >= DEATHS

    def clear(self, done: int) -> None:
        """Say that no work is at hand, and that what was done up to and with parcel `done` is there for good."""
        if any(sequence <= done for sequence in self._deaths):
            self._deaths = {sequence: deaths for sequence, deaths in self._deaths.items() if sequence > done}
            self._save()
        else:
            self._mark(0)

    def _load(self) -> tuple[int, dict[int, int]]:
        """The parcel at work, and the deaths of each that is doubtful: the first line, and the others."""
        with contextlib.suppress(OSError, ValueError):
            first, *others = self._path.read_text(encoding="ascii").splitlines()
            pairs = [line.split() for line in others]
            return int(first), {int(sequence): int(deaths) for sequence, deaths in pairs}
        return 0, {}

    def _save(self) -> None:
        lines = [f"{sequence} {deaths}\n" for sequence, deaths in self._deaths.items()]
        _write(self._path, f"{0:>20}\n{''.join(lines)}".encode("ascii"))

    def _mark(self, sequence: int) -> None:
        # In place and unsynced: it must outlive this process, not the machine.
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o640)
        try:
            os.pwrite(handle, f"{sequence:>20}\n".encode("ascii"), 0)
        finally:
            os.close(handle)
