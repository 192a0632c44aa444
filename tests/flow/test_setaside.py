"""Finding the guilty events of a parcel, keeping them aside, and remembering what killed a worker."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.collect.spool import Parcel
from khien.flow.setaside import DEATHS, Doubts, SetAside, culprits, survives, without


def parcel(*lines: bytes) -> Parcel:
    return Parcel("agents", "json", 1_800_000_000_000_000, b"".join(line + b"\n" for line in lines), len(lines))


def harmless(part: Parcel) -> bool:
    return b"bad" not in part.data


@given(st.lists(st.sampled_from([b"good", b"bad", b""]), max_size=40))
def test_halving_finds_exactly_the_guilty_lines(lines: list[bytes]) -> None:
    assert culprits(parcel(*lines), harmless) == [at for at, line in enumerate(lines) if line == b"bad"]


def test_one_guilty_event_of_thousands_is_found_in_a_few_tries() -> None:
    lines = [b"good"] * 10_000
    lines[7_123] = b"bad"
    tried = 0

    def works(part: Parcel) -> bool:
        nonlocal tried
        tried += 1
        return harmless(part)

    assert culprits(parcel(*lines), works) == [7_123]
    assert tried < 40


def test_lines_keep_their_numbers_while_parts_are_tried() -> None:
    seen = []

    def works(part: Parcel) -> bool:
        seen.append(part.data.split(b"\n").index(b"bad") if b"bad" in part.data else None)
        return harmless(part)

    culprits(parcel(b"a", b"b", b"bad", b"c"), works)
    assert set(seen) == {2, None}


def test_events_that_are_only_guilty_together_are_all_taken() -> None:
    def works(part: Parcel) -> bool:
        return not (b"left" in part.data and b"right" in part.data)

    assert culprits(parcel(b"left", b"right"), works) == [0, 1, 2]


def test_a_parcel_that_fails_throughout_costs_a_bounded_number_of_tries() -> None:
    tried = 0

    def works(part: Parcel) -> bool:
        nonlocal tried
        tried += 1
        return False

    assert culprits(parcel(*[b"bad"] * 5_000), works, tries=100)[:5_000] == list(range(5_000))
    assert tried == 100


def test_without_makes_lines_empty_and_moves_none() -> None:
    assert without(parcel(b"a", b"b", b"c"), [1]).data == b"a\n\nc\n"


def test_an_event_is_kept_with_its_reason_and_keeping_it_again_changes_nothing(tmp_path: Path) -> None:
    aside = SetAside(tmp_path, "store-00")
    for _ in range(2):
        aside.put(7, parcel(b"a", b"bad"), 2, b"bad", "ValueError('no')")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store-00-7-2.data", "store-00-7-2.json"]
    assert (tmp_path / "store-00-7-2.data").read_bytes() == b"bad"
    note = msgspec.json.decode((tmp_path / "store-00-7-2.json").read_bytes())
    assert note["reason"] == "ValueError('no')"
    assert (note["source"], note["sequence"], note["line"], note["events"]) == ("agents", 7, 2, 1)


def test_a_try_in_a_child_tells_of_a_death_an_error_and_a_hang() -> None:
    signs = 0

    def sign() -> None:
        nonlocal signs
        signs += 1

    def act(part: Parcel) -> None:
        if b"die" in part.data:
            os.kill(os.getpid(), signal.SIGKILL)
        if b"raise" in part.data:
            raise ValueError
        if b"hang" in part.data:
            time.sleep(60)

    works = survives(act, sign, seconds=0.5)
    assert works(parcel(b"fine"))
    assert not works(parcel(b"die"))
    assert not works(parcel(b"raise"))
    started = time.monotonic()
    assert not works(parcel(b"hang"))
    assert time.monotonic() - started < 5
    assert signs >= 1


def test_a_parcel_is_doubted_after_it_was_at_work_in_several_deaths(tmp_path: Path) -> None:
    for _ in range(DEATHS):
        assert not Doubts(tmp_path, "detect-00").begin(5)
    doubts = Doubts(tmp_path, "detect-00")
    assert not doubts.begin(4)
    assert doubts.begin(5)
    assert not doubts.begin(6)


def test_the_doubt_outlives_the_work_before_it_that_is_repeated_after_each_death(tmp_path: Path) -> None:
    for _ in range(DEATHS):
        doubts = Doubts(tmp_path, "store-00")
        assert [doubts.begin(sequence) for sequence in (3, 4, 5)] == [False] * 3  # and dies with 5
    doubts = Doubts(tmp_path, "store-00")
    assert [doubts.begin(sequence) for sequence in (3, 4, 5)] == [False, False, True]


def test_two_guilty_parcels_of_one_batch_are_both_told(tmp_path: Path) -> None:
    deaths = 0
    while True:
        doubts = Doubts(tmp_path, "store-00")
        if not doubts.begin(3) or (doubts.begin(4), not doubts.begin(5))[1]:
            deaths += 1
            assert deaths <= 2 * DEATHS
            continue
        break
    assert deaths == 2 * DEATHS


def test_what_is_done_for_good_is_doubted_no_more_and_what_follows_is(tmp_path: Path) -> None:
    for sequence in (5, 5, 9, 9):
        Doubts(tmp_path, "store-00").begin(sequence)
    doubts = Doubts(tmp_path, "store-00")
    doubts.clear(6)
    again = Doubts(tmp_path, "store-00")
    assert [again.begin(sequence) for sequence in (5, 9)] == [False, True]


def test_an_end_between_two_works_raises_no_doubt(tmp_path: Path) -> None:
    for _ in range(5):
        doubts = Doubts(tmp_path, "store-00")
        doubts.begin(5)
        doubts.clear(0)
    assert not Doubts(tmp_path, "store-00").begin(5)


@pytest.mark.parametrize("damage", [b"", b"\0" * 30, b"5\nx y\n", b"\xff\xfe", b"5 1\n"])
def test_a_damaged_note_of_doubts_counts_as_none(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "store-00").write_bytes(damage)
    assert not Doubts(tmp_path, "store-00").begin(5)
