"""Findings travel between processes whole and in order, through a file where they are many."""

from __future__ import annotations

from pathlib import Path

import pytest

from khien.hunt.assembly import Encoded
from khien.hunt.transport import pack, unpack


@pytest.mark.parametrize(("count", "size"), [(0, 0), (3, 10), (100, 5_000)])
def test_findings_come_out_as_they_went_in(tmp_path: Path, count: int, size: int) -> None:
    findings = [Encoded(2**64 - 1 - number, b"h" * (number % 7), b"t" * size) for number in range(count)]
    bundle = pack(findings, str(tmp_path))
    assert bool(list(tmp_path.iterdir())) == (count * size > 64 << 10)
    assert list(unpack(bundle)) == findings
    assert not list(tmp_path.iterdir())


def test_without_a_place_for_the_file_they_go_along(tmp_path: Path) -> None:
    findings = [Encoded(1, b"head", b"x" * 100_000)]
    assert list(unpack(pack(findings, str(tmp_path / "gone")))) == findings
