"""Events that cannot be worked on: found by halving their parcel, kept aside, so that the rest goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from khien.collect.spool import Parcel

DEATHS = 2
"""How often work on a parcel may end with its process before the parcel is tried in a child process first."""
_CHILD_SECONDS = 60.0


class SetAside:
    """Keeps events with the reason: `<worker>-<sequence>-<line>.json`, and the event itself in `.data` beside it."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder = folder
        self._worker = worker
        self.count = 0

    def put(self, sequence: int, parcel: Parcel, line: int, event: bytes, reason: str) -> None:
        """Keep one event (line `line` of its parcel, from 1). Repeating it changes nothing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{self._worker}-{sequence}-{line}"
        note = {
            "reason": reason,
            "source": parcel.source,
            "format": parcel.format,
            "received": parcel.received,
            "sequence": sequence,
            "line": line,
        }
        _write(self._folder / f"{name}.data", event)
        _write(self._folder / f"{name}.json", msgspec.json.encode(note))
        self.count += 1


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def culprits(parcel: Parcel, works: Callable[[Parcel], bool]) -> list[int]:
    """The lines (from 0) of a parcel with which `works` is False, found by halving; [] when it works as a whole."""
    lines = parcel.data.split(b"\n")
    found: list[int] = []

    def narrow(first: int, last: int) -> None:
        part = b"\n".join(lines[at] if first <= at < last else b"" for at in range(len(lines)))
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

    narrow(0, len(lines))
    return found


def without(parcel: Parcel, lines: list[int]) -> Parcel:
    """The parcel with some of its lines made empty; the others keep their numbers."""
    gone = set(lines)
    kept = [b"" if at in gone else line for at, line in enumerate(parcel.data.split(b"\n"))]
    return replace(parcel, data=b"\n".join(kept))


def survives(act: Callable[[Parcel], object]) -> Callable[[Parcel], bool]:
    """Try an act on a parcel in a child process: whether that ends well, and in time."""

    def works(parcel: Parcel) -> bool:
        child = multiprocessing.get_context("fork").Process(target=_quietly, args=(act, parcel))
        child.start()
        child.join(_CHILD_SECONDS)
        if child.is_alive():
            child.kill()
            child.join()
            return False
        return child.exitcode == 0

    return works


def _quietly(act: Callable[[Parcel], object], parcel: Parcel) -> None:
    try:
        act(parcel)
    except BaseException:
        os._exit(1)
    os._exit(0)


class Doubts:
    """Remembers over crashes which parcel was being worked on when the process died."""

    def __init__(self, folder: Path, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / worker
        self._sequence, self._deaths = self._load()
        if self._sequence:  # it was at work when it died
            self._deaths += 1

    def begin(self, sequence: int) -> bool:
        """Say that work on a parcel begins; True when that has ended with the process again and again."""
        deaths = self._deaths if sequence == self._sequence else 0
        self._save(sequence, deaths)
        return deaths >= DEATHS

    def clear(self) -> None:
        """Say that no work is at hand."""
        self._save(0, 0)

    def _load(self) -> tuple[int, int]:
        with contextlib.suppress(OSError, ValueError):
            sequence, deaths = self._path.read_text(encoding="ascii").split()
            return int(sequence), int(deaths)
        return 0, 0

    def _save(self, sequence: int, deaths: int) -> None:
        # In place and unsynced: it must outlive this process, not the machine.
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o640)
        try:
            os.pwrite(handle, f"{sequence:>20} {deaths:>4}\n".encode("ascii"), 0)
        finally:
            os.close(handle)
        self._sequence, self._deaths = sequence, deaths
