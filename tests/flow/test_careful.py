"""A bad event costs itself and nothing else, whether it raises, kills or hangs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import msgspec

from khien.collect.spool import Parcel
from khien.flow.careful import Careful
from khien.flow.setaside import DEATHS, Doubts, SetAside


def parcel(*lines: bytes) -> Parcel:
    return Parcel("agents", "json", 1_800_000_000_000_000, b"".join(line + b"\n" for line in lines), len(lines))


def act(sequence: int, part: Parcel) -> list[tuple[int, bytes]]:
    """Numbered lines; of some it cannot make one."""
    if b"kill" in part.data:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"hang" in part.data:
        time.sleep(60)
    if b"raise" in part.data:
        raise RuntimeError("an event it cannot stand")
    return [(number, line) for number, line in enumerate(part.data.split(b"\n"), 1) if line]


def careful(folder: Path, seconds: float = 5.0) -> Careful[list[tuple[int, bytes]]]:
    return Careful(act, Doubts(folder / "doubts", "w"), SetAside(folder / "aside", "w"), seconds=seconds)


def kept(folder: Path) -> dict[str, tuple[bytes, str]]:
    return {
        path.stem: (path.with_suffix(".data").read_bytes(), msgspec.json.decode(path.read_bytes())["reason"])
        for path in sorted((folder / "aside").glob("*.json"))
    }


def test_a_parcel_without_fault_is_worked_on_once_and_whole(tmp_path: Path) -> None:
    assert careful(tmp_path).run(1, parcel(b"a", b"b")) == [(1, b"a"), (2, b"b")]
    assert not (tmp_path / "aside").exists()


def test_an_event_that_raises_is_set_aside_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    assert careful(tmp_path).run(7, parcel(b"a", b"raise", b"b", b"raise 2", b"c")) == [(1, b"a"), (3, b"b"), (5, b"c")]
    reason = "RuntimeError('an event it cannot stand')"
    assert kept(tmp_path) == {"w-7-2": (b"raise", reason), "w-7-4": (b"raise 2", reason)}


def test_events_side_by_side_are_kept_in_one_file_and_all_counted(tmp_path: Path) -> None:
    aside = SetAside(tmp_path / "aside", "w")
    Careful(act, Doubts(tmp_path / "doubts", "w"), aside).run(7, parcel(*[b"raise"] * 300, b"a"))
    assert aside.count == 300
    assert [text.count(b"raise") for text, _ in kept(tmp_path).values()] == [300]


def doomed(folder: Path, lines: tuple[bytes, ...], patience: float = 20.0) -> int:
    """Work in a process that may die, or is ended after its supervisor's `patience`; how it ended."""
    child = os.fork()
    if not child:
        try:
            worker = careful(folder, seconds=1.0)
            worker.run(1, parcel(b"before"))
            worker.run(2, parcel(*lines))
        finally:
            os._exit(0)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def test_an_event_that_kills_the_process_is_told_after_a_few_deaths(tmp_path: Path) -> None:
    lines = (b"a", b"kill", b"b")
    assert [doomed(tmp_path, lines) for _ in range(DEATHS)] == [signal.SIGKILL] * DEATHS
    assert doomed(tmp_path, lines) == 0
    assert kept(tmp_path) == {"w-2-2": (b"kill", "took the process down, or did not end")}


def test_an_event_that_never_ends_is_told_after_its_process_was_ended(tmp_path: Path) -> None:
    lines = (b"a", b"hang", b"b")
    assert [doomed(tmp_path, lines, 0.5) for _ in range(DEATHS)] == [signal.SIGKILL] * DEATHS
    assert doomed(tmp_path, lines) == 0
    assert list(kept(tmp_path)) == ["w-2-2"]


def test_deaths_that_no_event_is_guilty_of_set_nothing_aside(tmp_path: Path) -> None:
    for _ in range(DEATHS + 1):
        Doubts(tmp_path / "doubts", "w").begin(3)
    assert careful(tmp_path).run(3, parcel(b"a", b"b")) == [(1, b"a"), (2, b"b")]
    assert not (tmp_path / "aside").exists()
