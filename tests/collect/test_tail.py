"""Following files into a real spool: each line once, whatever happens to the files and to us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from collect.listening import in_loop, spooled, until
from khien.collect.checkpoints import CheckpointError, Checkpoints
from khien.collect.segments import Parcel
from khien.collect.spool import Spool, SpoolFull
from khien.collect.tail import Tail, TailLimits

QUICK = TailLimits(poll_seconds=0.01, scan_seconds=0.02, partial_seconds=30.0, rotated_seconds=0.3)


class Place:
    """A folder with logs, a spool and checkpoints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.log = self.logs / "app.log"
        self.spool_folder = folder / "spool"

    def write(self, *lines: str, end: str = "\n", path: Path | None = None) -> None:
        with (path or self.log).open("a") as out:
            out.write("".join(line + "\n" for line in lines[:-1]) + lines[-1] + end)

    @contextlib.asynccontextmanager
    async def tail(self, pattern: str = "app.log", limits: TailLimits = QUICK, **kwargs: object) -> AsyncIterator[Tail]:
        spool = Spool(self.spool_folder)
        tail = Tail(spool, "files", [str(self.logs / pattern)], self.folder / "checkpoints", limits=limits, **kwargs)  # type: ignore[arg-type]
        await tail.start()
        try:
            yield tail
        finally:
            await tail.stop()
            await spool.close()

    def lines(self) -> list[str]:
        return (
            b"".join(parcel.data for parcel in spooled(self.spool_folder)).decode("utf-8", "replace").split("\n")[:-1]
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@in_loop
async def test_lines_old_and_new_arrive_in_order(place: Place) -> None:
    place.write("one", "two")
    async with place.tail(format="syslog") as tail:
        await until(lambda: tail.figures.lines == 2)
        place.write("three")
        await until(lambda: tail.figures.lines == 3)
        place.write("new file", path=place.logs / "app2.log")
    assert place.lines() == ["one", "two", "three"]
    assert {(parcel.source, parcel.format) for parcel in spooled(place.spool_folder)} == {("files", "syslog")}


@in_loop
async def test_a_restart_goes_on_where_it_was(place: Place) -> None:
    place.write("one", "two")
    for number in range(5):
        async with place.tail() as tail:
            await until(lambda tail=tail, number=number: tail.figures.lines == (2 if number == 0 else 1))
            await asyncio.sleep(0.03)
        place.write(f"more {number}")
    assert place.lines() == ["one", "two", "more 0", "more 1", "more 2", "more 3"]


@in_loop
async def test_a_partial_last_line_waits_for_its_end(place: Place) -> None:
    place.write("whole", "half", end="")
    async with place.tail() as tail:
        await until(lambda: tail.figures.lines == 1)
        await asyncio.sleep(0.1)
        assert tail.figures.lines == 1
        place.write(" and half")
        await until(lambda: tail.figures.lines == 2)
    assert place.lines() == ["whole", "half and half"]


@in_loop
async def test_a_partial_last_line_is_taken_after_a_while(place: Place) -> None:
    place.write("whole", "no end", end="")
    async with place.tail(limits=replace(QUICK, partial_seconds=0.1)) as tail:
        await until(lambda: tail.figures.lines == 2)
        assert tail.figures.partial == 1
    assert place.lines() == ["whole", "no end"]


@in_loop
async def test_bytes_are_kept_as_they_are(place: Place) -> None:
    data = b"caf\xe9\r\n\x00nul\r\n\nlast\n"
    place.log.write_bytes(data)
    async with place.tail() as tail:
        await until(lambda: tail.figures.lines == 4)
    assert b"".join(parcel.data for parcel in spooled(place.spool_folder)) == data


@in_loop
async def test_a_huge_line_is_cut_off_and_the_next_one_found(place: Place) -> None:
    with place.log.open("wb") as out:
        out.write(b"before\n" + b"x" * 5_000_000 + b"\n" + b"y" * 2000 + b"\nafter\n")
    async with place.tail(limits=replace(QUICK, max_line=1000)) as tail:
        await until(lambda: tail.figures.lines == 4)
        assert tail.figures.oversized == 2
    assert [len(line) for line in place.lines()] == [6, 1000, 1000, 5]


@pytest.mark.parametrize("pattern", ["app.log", "app.log*"])
@in_loop
async def test_rename_and_create(pattern: str, place: Place) -> None:
    place.write("one")
    async with place.tail(pattern) as tail:
        await until(lambda: tail.figures.lines == 1)
        with place.log.open("a") as late:
            place.log.rename(place.logs / "app.log.1")
            late.write("two, by who has it open\n")
            late.flush()
            place.write("three")
            await until(lambda: tail.figures.lines == 3)
            late.write("four, late\n")
        await until(lambda: tail.figures.lines == 4)
        if pattern == "app.log":
            await until(lambda: tail.figures.rotated == 1)
        place.write("five")
        await until(lambda: tail.figures.lines == 5)
    assert sorted(place.lines()) == sorted(["one", "two, by who has it open", "three", "four, late", "five"])


@pytest.mark.parametrize("pattern", ["app.log", "app.log*"])
@in_loop
async def test_copy_and_truncate(pattern: str, place: Place) -> None:
    place.write(*(f"old {number}" for number in range(100)))
    async with place.tail(pattern) as tail:
        await until(lambda: tail.figures.lines == 100)
        shutil.copy(place.log, place.logs / "app.log.1")
        os.truncate(place.log, 0)
        await asyncio.sleep(0.1)
        place.write("new")
        await until(lambda: tail.figures.lines == 101)
        await asyncio.sleep(0.1)
        assert tail.figures.cut_short == 1
    assert place.lines() == [*(f"old {number}" for number in range(100)), "new"]


@pytest.mark.parametrize("pattern", ["app.log", "app.log*"])
@in_loop
async def test_what_was_written_just_before_copy_and_truncate_is_read_from_the_copy(pattern: str, place: Place) -> None:
    place.write("first", "second")
    async with place.tail(pattern) as tail:
        await until(lambda: tail.figures.lines == 2)
    place.write("third")
    shutil.copy(place.log, place.logs / "app.log.1")
    os.truncate(place.log, 0)
    place.write("4")
    async with place.tail(pattern) as tail:
        await until(lambda: tail.figures.lines == 2)
        await asyncio.sleep(0.1)
    assert sorted(place.lines()) == ["4", "first", "second", "third"]


@in_loop
async def test_a_file_rotated_while_no_one_looked_is_read_to_its_end(place: Place) -> None:
    place.write("one")
    async with place.tail() as tail:
        await until(lambda: tail.figures.lines == 1)
    place.write("two")
    place.log.rename(place.logs / "app.log.1")
    place.write("three")
    async with place.tail() as tail:
        await until(lambda: tail.figures.lines == 2)
        await until(lambda: tail.figures.rotated == 1)
    async with place.tail() as tail:
        await asyncio.sleep(0.1)
    assert sorted(place.lines()) == ["one", "three", "two"]


@in_loop
async def test_compressed_rotated_files_are_not_followed(place: Place) -> None:
    place.write("one")
    async with place.tail("app.log*") as tail:
        await until(lambda: tail.figures.lines == 1)
        place.log.rename(place.logs / "app.log.1")
        subprocess.run(["gzip", str(place.logs / "app.log.1")], check=True)
        place.write("two")
        await until(lambda: tail.figures.lines == 2)
        await asyncio.sleep(0.5)
    assert place.lines() == ["one", "two"]


@in_loop
async def test_a_deleted_file_is_read_to_its_end_and_let_go(place: Place) -> None:
    place.write("one")
    async with place.tail() as tail:
        await until(lambda: tail.figures.lines == 1)
        with place.log.open("a") as late:
            place.log.unlink()
            late.write("two")
        await until(lambda: tail.figures.lines == 2)
        await until(lambda: tail.figures.files == 0)
    assert place.lines() == ["one", "two"]


@in_loop
async def test_a_new_file_under_an_old_inode_is_read_from_its_start(place: Place) -> None:
    place.write("one", "two", "three")
    async with place.tail() as tail:
        await until(lambda: tail.figures.lines == 3)
    inode = place.log.stat().st_ino
    place.log.write_text("an other content that is longer than the first one\n")
    assert place.log.stat().st_ino == inode
    async with place.tail() as tail:
        await until(lambda: tail.figures.lines == 1)
    assert place.lines()[3:] == ["an other content that is longer than the first one"]


@in_loop
async def test_the_end_may_be_the_start_once(place: Place) -> None:
    place.write("old")
    async with place.tail(from_end=True) as tail:
        await until(lambda: tail.figures.files == 1)
        place.write("new")
        await until(lambda: tail.figures.lines == 1)
        place.write("all of it", path=place.logs / "app.log.new")
    place.write("while away")
    async with place.tail("app.log*", from_end=True) as tail:
        await until(lambda: tail.figures.lines == 2)
    assert sorted(place.lines()) == ["all of it", "new", "while away"]


@in_loop
async def test_header_lines_go_with_every_parcel_of_their_file(place: Place) -> None:
    header = "#separator \\x09\n#fields\tts\tuid\n"
    place.log.write_text(header + "1\ta\n")
    place.write("plain", path=place.logs / "app.log2")
    async with place.tail("app.log*") as tail:
        await until(lambda: tail.figures.lines >= 4)
        place.write("2\tb")
        await until(lambda: tail.figures.lines == 5)
    parcels = [parcel.data.decode() for parcel in spooled(place.spool_folder)]
    assert sorted(parcels) == sorted([header + "1\ta\n", header + "2\tb\n", "plain\n"])


@in_loop
async def test_a_thousand_files_are_followed_fairly(place: Place) -> None:
    for number in range(1000):
        place.write(f"{number} a", f"{number} b", path=place.logs / f"app{number:04d}.log")
    place.write(*(f"big {number}" for number in range(200_000)))
    async with place.tail("*.log") as tail:
        await until(lambda: tail.figures.lines == 202_000, 20)
        place.write("late", path=place.logs / "app0500.log")
        await until(lambda: tail.figures.lines == 202_001)
    assert len(set(place.lines())) == 202_001


@in_loop
async def test_a_full_spool_makes_the_tail_wait(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("one")
    append, full = Spool.append, True

    async def refuse(self: Spool, parcel: Parcel) -> int:
        if full:
            raise SpoolFull("full")
        return await append(self, parcel)

    monkeypatch.setattr(Spool, "append", refuse)
    async with place.tail() as tail:
        await until(lambda: tail.figures.spool_full >= 2)
    assert place.lines() == []
    async with place.tail() as tail:
        await until(lambda: tail.figures.spool_full >= 1)
        full = False
        await until(lambda: tail.figures.lines == 1)
    assert place.lines() == ["one"]


@pytest.mark.parametrize("when", ["before the append", "after the append"])
@in_loop
async def test_a_crash_around_the_append_neither_loses_nor_doubles(
    when: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("one", "two")
    append = Spool.append

    async def crash(self: Spool, parcel: Parcel) -> int:
        if when == "after the append":
            await append(self, parcel)
        await asyncio.sleep(3600)
        return 0

    monkeypatch.setattr(Spool, "append", crash)
    spool = Spool(place.spool_folder)
    tail = Tail(spool, "files", [str(place.log)], place.folder / "checkpoints", limits=QUICK)
    await tail.start()
    await until(lambda: tail._checkpoints.pending() and (when != "after the append" or spool.last(0) == 1))
    assert tail._task is not None
    tail._task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await tail._task
    tail._checkpoints.close()
    await spool.close()
    monkeypatch.setattr(Spool, "append", append)
    place.write("three")
    async with place.tail() as again:
        await until(lambda: again.figures.lines == (1 if when == "after the append" else 3))
        await asyncio.sleep(0.05)
    assert place.lines() == ["one", "two", "three"]


def test_two_processes_cannot_share_checkpoints(tmp_path: Path) -> None:
    first = Checkpoints(tmp_path / "one.tail")
    with pytest.raises(CheckpointError, match="another process"):
        Checkpoints(tmp_path / "one.tail")
    first.close()
    (tmp_path / "bad.tail").write_bytes(b"no database" * 1000)
    with pytest.raises(CheckpointError, match="cannot be used"):
        Checkpoints(tmp_path / "bad.tail")


RUN = """
import asyncio, sys
from pathlib import Path
from khien.collect.spool import Spool
from khien.collect.tail import Tail, TailLimits

async def main(folder):
    spool = Spool(folder / "spool")
    limits = TailLimits(poll_seconds=0.002, scan_seconds=0.01, rotated_seconds=1.0, parcel_bytes=20_000)
    tail = Tail(spool, "files", [str(folder / "logs" / "app.log*")], folder / "checkpoints", limits=limits)
    await tail.start()
    await asyncio.sleep(3600)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_kill_9_at_random_moments_loses_and_doubles_nothing(place: Place) -> None:
    kills = int(os.environ.get("KHIEN_KILLS", "6"))
    chance = random.Random(7)
    (place.folder / "run.py").write_text(RUN)
    command = [sys.executable, str(place.folder / "run.py"), str(place.folder)]
    number = rotation = 0

    def write(many: int) -> None:
        nonlocal number
        place.write(*(f"line {each} {'x' * 80}" for each in range(number, number + many)))
        number += many

    for _ in range(kills):
        process = subprocess.Popen(command)
        until_ = time.monotonic() + chance.uniform(0.4, 1.2)
        while time.monotonic() < until_:
            write(chance.randrange(1, 400))
            if chance.random() < 0.1:
                rotation += 1
                place.log.rename(place.logs / f"app.log.{rotation}")
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        write(50)
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 20
        while len(place.lines()) < number and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.2)
    finally:
        process.kill()
        process.wait()
    found = [int(line.split()[1]) for line in place.lines()]
    assert len(found) == len(set(found)), "lines are doubled"
    assert set(found) == set(range(number)), "lines are lost"
