"""Windows event log files, whole and damaged."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest

from formats.reading import blocks, read


@pytest.fixture(scope="module")
def recording(sigma_data: Path) -> bytes:
    return min(
        sorted((sigma_data / "regression_data").rglob("*.evtx")), key=lambda path: path.stat().st_size
    ).read_bytes()


@pytest.fixture
def larger(sigma_data: Path) -> bytes:
    """A recording of several chunks, made of one with its chunk repeated."""
    whole = min(
        sorted((sigma_data / "regression_data").rglob("*.evtx")), key=lambda path: path.stat().st_size
    ).read_bytes()
    header = bytearray(whole[:4096])
    header[16:24] = (2).to_bytes(8, "little")  # the last chunk's number
    header[42:44] = (3).to_bytes(2, "little")
    header[124:128] = zlib.crc32(bytes(header[:120])).to_bytes(4, "little")
    return bytes(header) + whole[4096 : 4096 + 65536] * 3


def test_records_have_system_fields_and_numbers_that_rise(recording: bytes) -> None:
    seen = read(recording)
    assert seen
    for event in seen:
        assert isinstance(event["EventID"], int)
        assert event["Channel"]
        assert event["Computer"]
        assert event.time.startswith("20")
        assert "windows/*/*" in event.sources
        assert isinstance(event["EventRecordID"], int)
    assert [event.number for event in seen] == sorted({event.number for event in seen})


def test_every_case_of_the_corpus_is_read_without_a_problem(sigma_data: Path) -> None:
    files = sorted((sigma_data / "regression_data").rglob("*.evtx"))
    assert len(files) > 50
    for path in files[::4]:
        found, problems = blocks("evtx", path.read_bytes())
        assert problems == [], path
        assert sum(len(block.records) for block in found) > 0, path


@pytest.mark.parametrize("cut", [8, 100, 4096, 4097, 4096 + 512, 4096 + 600])
def test_a_file_cut_off_early_is_reported_once(recording: bytes, cut: int) -> None:
    found, problems = blocks("evtx", recording[:cut])
    assert sum(len(block.records) for block in found) == 0
    assert len(problems) == 1
    assert problems[0].remedy


def test_chunks_before_a_cut_are_read(larger: bytes) -> None:
    whole = sum(len(block.records) for block in blocks("evtx", larger)[0])
    found, _ = blocks("evtx", larger[: 4096 + 65536 * 2 + 30_000])
    assert 0 < sum(len(block.records) for block in found) < whole


def test_a_cut_inside_a_later_chunk_is_reported(larger: bytes) -> None:
    _, problems = blocks("evtx", larger[: 4096 + 65536 * 2 + 30_000])
    assert len(problems) == 1


def test_a_destroyed_chunk_does_not_take_the_others_along(larger: bytes) -> None:
    whole = sum(len(block.records) for block in blocks("evtx", larger)[0])
    damaged = bytearray(larger)
    damaged[4096 + 65536 : 4096 + 2 * 65536] = random.Random(1).randbytes(65536)
    found, problems = blocks("evtx", bytes(damaged))
    assert sum(len(block.records) for block in found) == whole * 2 // 3
    assert len(problems) == 1


def test_flipped_bits_never_raise_and_give_at_most_one_message(recording: bytes) -> None:
    draw = random.Random(7)
    for _ in range(40):
        data = bytearray(recording)
        for _ in range(draw.randint(1, 60)):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        _, problems = blocks("evtx", bytes(data))
        assert len(problems) <= 1


def test_the_file_headers_own_damage_does_not_hide_the_records(recording: bytes) -> None:
    damaged = bytearray(recording)
    damaged[20:60] = b"\xff" * 40
    found, problems = blocks("evtx", bytes(damaged))
    assert found or problems
