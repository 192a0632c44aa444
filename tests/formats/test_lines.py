"""Lines of a stream in bounded memory."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.errors import Problem
from khien.formats import lines as module
from khien.formats.lines import read_lines, share


class Dribble(io.RawIOBase):
    """Gives no more than a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__()
        self._inner, self._step = io.BytesIO(data), step

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(self._step)


def numbered(data: bytes, step: int = 1 << 20) -> tuple[list[tuple[int, str]], list[Problem]]:
    problems: list[Problem] = []
    found = [
        (number, line)
        for start, lines in read_lines(cast(BinaryIO, Dribble(data, step)), "x", problems.append)
        for number, line in enumerate(lines, start)
    ]
    return found, problems


@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r\x00", exclude_categories=["Cs"])), max_size=8),
    st.integers(1, 9),
)
def test_lines_keep_their_numbers_whatever_the_pieces_they_come_in(lines: list[str], step: int) -> None:
    found, problems = numbered("".join(line + "\n" for line in lines).encode(), step)
    assert found == list(enumerate(lines, 1))
    assert problems == []


def test_ends_of_lines_nuls_and_broken_bytes_are_mended() -> None:
    found, _ = numbered(b"a\r\nb\x00c\n\xff\nlast")
    assert [line for _, line in found] == ["a", "bc", "\ufffd", "last"]


@pytest.mark.parametrize("ending", [b"\nafter\n", b"\nafter", b"\n", b""])
def test_a_line_too_long_is_reported_and_keeps_its_number(monkeypatch: pytest.MonkeyPatch, ending: bytes) -> None:
    monkeypatch.setattr(module, "MAX_LINE", 100)
    found, (problem,) = numbered(b"before\n" + b"x" * 1000 + ending, 40)
    assert (1, "before") in found
    assert ((3, "after") in found) == (b"after" in ending)
    assert all(len(line) <= 200 for _, line in found)
    assert problem.place == "line 2"


def test_a_share_counts_the_first_whole_lines_that_pass() -> None:
    assert share(b"#note\nyes\nno\n\nyes\nyes-but-cut", lambda line: line.startswith("yes")) == pytest.approx(2 / 3)
    assert share(b"only", lambda line: True) == 1.0
    assert share(b"", lambda line: True) == 0.0
    assert share(b"\n\n#x\n", lambda line: True) == 0.0
