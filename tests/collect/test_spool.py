"""The spool keeps what it acknowledged, in order, through crashes, damage and full disks."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from khien.collect.positions import lane_folder
from khien.collect.segments import segments
from khien.collect.spool import LaneReader, Parcel, Position, Spool, SpoolError, SpoolFull, lane_of


def parcel(text: str, source: str = "web") -> Parcel:
    data = text.encode() + b"\n"
    return Parcel(source, "json", 1_700_000_000_000_000, data, data.count(b"\n"))


def noise(size: int, seed: int = 0) -> str:
    """Text that does not compress."""
    return base64.b85encode(random.Random(seed).randbytes(size)).decode()[:size]


async def fill(folder: Path, texts: list[str], **options: int) -> list[int]:
    spool = Spool(folder, **options)
    numbers = [await spool.append(parcel(text)) for text in texts]
    await spool.close()
    return numbers


async def fill_up(spool: Spool) -> int:
    for number in range(200):
        try:
            await spool.append(parcel(noise(9_000, number)))
        except SpoolFull:
            return number
    raise AssertionError("the spool never was full")


def texts(reader: LaneReader, after: int = 0) -> list[str]:
    found = []
    while got := reader.read(after):
        found += [each.data.decode().strip() for _, each in got]
        after = got[-1][0]
    return found


def test_what_was_appended_is_read_in_order_with_numbers_from_one(tmp_path: Path) -> None:
    first = Parcel("máy chủ", "", 1, b'{"a":1}\n{"a":2}\n', 2)
    second = Parcel("máy chủ", "syslog", 2, b"x" * 5000 + b"\n", 1)

    async def run() -> None:
        spool = Spool(tmp_path)
        assert [await spool.append(first), await spool.append(second)] == [1, 2]
        assert LaneReader(tmp_path, 0).read(0) == [(1, first), (2, second)]
        await spool.close()

    asyncio.run(run())
    reader = LaneReader(tmp_path, 0)
    assert reader.last() == 2
    assert reader.read(1) == [(2, second)]
    assert reader.read(2) == []


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    assert asyncio.run(fill(tmp_path, ["a", "b"])) == [1, 2]
    assert asyncio.run(fill(tmp_path, ["c"])) == [3]
    assert texts(LaneReader(tmp_path, 0)) == ["a", "b", "c"]


def test_a_reader_sees_what_is_appended_while_it_stands_open(tmp_path: Path) -> None:
    async def run() -> None:
        spool = Spool(tmp_path, segment_bytes=100_000)
        reader = LaneReader(tmp_path, 0)
        assert reader.read(0) == []
        seen = []
        for number in range(60):
            text = noise(9_000, number)
            await spool.append(parcel(text))
            seen += [each.data.decode().strip() for _, each in reader.read(len(seen))]
            assert seen[-1] == text
        assert len(segments(lane_folder(tmp_path, 0))) > 3
        assert reader.problems == []
        await spool.close()

    asyncio.run(run())


def test_many_appends_at_once_share_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = []
    really = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda handle: (syncs.append(1), time.sleep(0.01), really(handle)))

    async def run() -> None:
        spool = Spool(tmp_path)
        numbers = await asyncio.gather(*(spool.append(parcel(f"event {n}")) for n in range(500)))
        assert sorted(numbers) == list(range(1, 501))
        await spool.close()

    asyncio.run(run())
    assert len(syncs) < 10


def test_a_source_always_goes_to_the_same_lane(tmp_path: Path) -> None:
    async def run() -> None:
        spool = Spool(tmp_path, lanes=3)
        for source in ("a", "b", "c", "d", "e"):
            await spool.append(parcel(source, source))
        await spool.close()

    asyncio.run(run())
    for source in ("a", "b", "c", "d", "e"):
        assert source in texts(LaneReader(tmp_path, lane_of(source, 3)))


def test_the_amount_read_is_bounded_but_never_nothing(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path, ["x" * 1000] * 10))
    reader = LaneReader(tmp_path, 0)
    assert len(reader.read(0, max_bytes=10)) == 1
    assert len(reader.read(1, max_bytes=2500)) == 3


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        spool = Spool(tmp_path)
        with pytest.raises(SpoolError, match="another process"):
            Spool(tmp_path)
        await spool.close()
        await Spool(tmp_path).close()

    asyncio.run(run())


def test_a_torn_tail_is_cut_off_and_everything_acknowledged_stays(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path, ["a", "b"]))
    (segment,) = segments(lane_folder(tmp_path, 0))
    whole = segment.path.read_bytes()
    for cut in (1, 20, 44, 46):
        segment.path.write_bytes(whole + whole[:cut])
        reader = LaneReader(tmp_path, 0)
        assert texts(reader) == ["a", "b"]
        assert reader.problems == []
    assert asyncio.run(fill(tmp_path, ["c"])) == [3]
    assert texts(LaneReader(tmp_path, 0)) == ["a", "b", "c"]


@pytest.mark.parametrize("offset", [0, 9, 13, 30, 46, 60])
def test_damage_in_the_middle_is_passed_over_counted_and_told(tmp_path: Path, offset: int) -> None:
    asyncio.run(fill(tmp_path, [f"event {n} " + noise(30, n) for n in range(5)]))
    (segment,) = segments(lane_folder(tmp_path, 0))
    raw = bytearray(segment.path.read_bytes())
    at = len(raw) // 5 * 2 + offset
    raw[at] ^= 0xFF
    segment.path.write_bytes(raw)
    reader = LaneReader(tmp_path, 0)
    assert [text[:7] for text in texts(reader)] == ["event 0", "event 1", "event 3", "event 4"]
    assert reader.lost == 1
    assert "damaged" in reader.problems[0].what
    assert str(segment.path) == reader.problems[0].path
    assert [text[:7] for text in texts(LaneReader(tmp_path, 0), after=3)] == ["event 3", "event 4"]
    assert asyncio.run(fill(tmp_path, ["next"])) == [6]
    assert texts(LaneReader(tmp_path, 0), 5) == ["next"]


def test_a_damaged_acknowledged_tail_is_told_and_its_numbers_are_not_used_again(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path, ["a", "b", "c"]))
    (segment,) = segments(lane_folder(tmp_path, 0))
    segment.path.write_bytes(segment.path.read_bytes()[:-3])
    spool = Spool(tmp_path)
    assert "3 were acknowledged" in spool.problems[0].what
    asyncio.run(spool.close())
    assert asyncio.run(fill(tmp_path, ["d"])) == [4]
    reader = LaneReader(tmp_path, 0)
    assert texts(reader) == ["a", "b", "d"]
    assert reader.lost == 1


def test_an_event_that_holds_a_whole_frame_is_just_an_event(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "other", ["forged"]))
    (other,) = segments(lane_folder(tmp_path / "other", 0))
    forged = other.path.read_bytes().replace(b"\n", b" ")
    asyncio.run(fill(tmp_path / "spool", []))
    spool = Spool(tmp_path / "spool")

    async def run() -> None:
        await spool.append(Parcel("s", "", 1, forged + b"\n", 1))
        await spool.append(parcel("real"))
        await spool.close()

    asyncio.run(run())
    (segment,) = segments(lane_folder(tmp_path / "spool", 0))
    raw = bytearray(segment.path.read_bytes())
    raw[0] ^= 1
    segment.path.write_bytes(raw)
    assert texts(LaneReader(tmp_path / "spool", 0)) == ["real"]


def test_segments_go_when_every_consumer_has_passed_them(tmp_path: Path) -> None:
    async def run() -> None:
        spool = Spool(tmp_path, segment_bytes=64 << 10)
        for number in range(40):
            await spool.append(parcel(noise(8_000, number)))
        before = spool.used
        Position(tmp_path, 0, "detect").save(40)
        assert await spool.free() == 0
        Position(tmp_path, 0, "store").save(20)
        freed = await spool.free()
        assert 0 < freed == before - spool.used
        reader = LaneReader(tmp_path, 0)
        assert reader.read(0)[0][0] <= 21
        assert len(texts(reader, 20)) == 20
        assert spool.lag(0) == {"detect": 0, "store": 20}
        await spool.close()

    asyncio.run(run())


def test_a_full_spool_refuses_and_takes_again_after_the_consumers_went_on(tmp_path: Path) -> None:
    async def run() -> None:
        spool = Spool(tmp_path, max_bytes=300_000)
        taken = await fill_up(spool)
        assert 20 < taken < 50
        assert spool.used <= 300_000
        reader = LaneReader(tmp_path, 0)
        assert len(texts(reader)) == taken
        for consumer in ("detect", "store"):
            Position(tmp_path, 0, consumer).save(taken)
        await asyncio.sleep(0.11)
        assert await spool.append(parcel("again")) == taken + 1
        assert texts(reader, taken) == ["again"]
        await spool.close()

    asyncio.run(run())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_refuses_and_takes_again_once_there_is_room(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:

        async def run() -> None:
            (place / "ballast").write_bytes(b"x" * 600_000)
            spool = Spool(place / "spool", segment_bytes=128 << 10)
            taken = await fill_up(spool)
            (place / "ballast").unlink()
            await spool.append(parcel("again"))
            await spool.close()
            found = texts(LaneReader(place / "spool", 0))
            assert len(found) == taken + 1
            assert found[-1] == "again"

        asyncio.run(run())
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_sync_that_fails_is_not_acknowledged_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        spool = Spool(tmp_path)
        await spool.append(parcel("a"))
        with monkeypatch.context() as broken:

            def fail(handle: int) -> None:
                raise OSError(5, "Input/output error")

            broken.setattr(os, "fdatasync", fail)
            with pytest.raises(SpoolError, match="Input/output error"):
                await spool.append(parcel("b"))
        await spool.append(parcel("c"))
        await spool.close()

    asyncio.run(run())
    assert texts(LaneReader(tmp_path, 0)) == ["a", "c"]


def test_a_damaged_position_means_work_is_repeated(tmp_path: Path) -> None:
    position = Position(tmp_path, 0, "detect")
    assert position.load() == 0
    position.save(17)
    assert position.load() == 17
    position.path.write_bytes(b"17")
    assert position.load() == 0


WRITER = """
import asyncio, sys
from khien.collect.spool import Parcel, Spool
async def main():
    spool = Spool(sys.argv[1], segment_bytes=200_000)
    async def sender(name):
        for n in range(1_000_000):
            line = f"{sys.argv[2]} {name} {n} " + "x" * (n % 3000)
            await spool.append(Parcel("s", "json", 1, line.encode() + b"\\n", 1))
            print(sys.argv[2], name, n, flush=True)
    await asyncio.gather(*(sender(name) for name in range(8)))
asyncio.run(main())
"""


def test_killed_at_random_moments_it_holds_everything_acknowledged_exactly_once(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    for life in range(5):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "spool"), str(life)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        acknowledged.add(process.stdout.readline().strip())
        time.sleep(random.uniform(0.05, 0.4))
        process.send_signal(signal.SIGKILL)
        acknowledged.update(line.strip() for line in process.stdout if line.endswith("\n"))
        process.wait()
        process.stdout.close()
    reader = LaneReader(tmp_path / "spool", 0)
    found, numbers, after = [], [], 0
    while got := reader.read(after):
        after = got[-1][0]
        numbers += [number for number, _ in got]
        found += [" ".join(each.data.decode().split()[:3]) for _, each in got]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(found) == len(set(found))
    assert acknowledged <= set(found)
    assert reader.problems == []


def test_a_slow_disk_makes_senders_wait_instead_of_filling_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda handle: (time.sleep(0.3), really(handle)))
    monkeypatch.setattr("khien.collect.spool.MAX_WAITING", 100_000)

    async def run() -> None:
        spool = Spool(tmp_path)
        sent = [spool.append(parcel(f"{n} " + "x" * 9_000)) for n in range(30)]
        answers = await asyncio.gather(*sent, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, SpoolFull)]
        assert len(refused) == 19
        assert spool.waiting == 0
        assert await spool.append(parcel("later")) == 12
        await spool.close()
        assert len(texts(LaneReader(tmp_path, 0))) == 12

    asyncio.run(run())


def test_room_is_left_free_on_the_disk(tmp_path: Path) -> None:
    async def run() -> None:
        spool = Spool(tmp_path, min_free=1 << 60)
        with pytest.raises(SpoolFull):
            await spool.append(parcel("a"))
        await spool.close()

    asyncio.run(run())


def test_a_position_beyond_the_spool_keeps_numbers_from_being_used_again(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path, ["a", "b"]))
    Position(tmp_path, 0, "store").save(9)
    assert asyncio.run(fill(tmp_path, ["c"])) == [10]
    assert texts(LaneReader(tmp_path, 0), 9) == ["c"]


def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    async def run() -> None:
        spool = Spool(tmp_path, lanes=2)
        sent = [asyncio.ensure_future(spool.append(parcel(f"{n}", f"s{n}"))) for n in range(50)]
        await asyncio.sleep(0)
        await spool.close()
        assert all(task.done() for task in sent) or len(await asyncio.gather(*sent)) == 50
        with pytest.raises(SpoolError, match="closed"):
            await spool.append(parcel("late"))

    asyncio.run(run())
