"""Findings of a worker process on their way to the one that writes them: through a file, not through the pipe."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from khien.hunt.assembly import Encoded

_SMALL = 64 << 10


@dataclass(frozen=True, slots=True)
class Bundle:
    """Encoded findings, in order. `cuts`: of each its record, and the lengths of what stands before it and after it."""

    cuts: array[int]
    data: bytes
    """What stands in them, one after the other; empty where that is in the file."""
    file: str


def pack(findings: Sequence[Encoded], folder: str) -> Bundle:
    """Put findings into a bundle; many of them into a file in the folder."""
    cuts = array("Q")
    pieces: list[bytes] = []
    for record, head, tail in findings:
        cuts.extend((record, len(head), len(tail)))
        pieces += (head, tail)
    data = b"".join(pieces)
    if len(data) <= _SMALL:
        return Bundle(cuts, data, "")
    try:
        handle, name = tempfile.mkstemp(dir=folder)
    except OSError:  # no place for it: slowly, then
        return Bundle(cuts, data, "")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
    except OSError:  # such as a full disk
        Path(name).unlink(missing_ok=True)
        return Bundle(cuts, data, "")
    return Bundle(cuts, b"", name)


def unpack(bundle: Bundle) -> Iterator[Encoded]:
    """The findings again; once, for the file is deleted."""
    data = bundle.data
    if bundle.file:
        file = Path(bundle.file)
        data = file.read_bytes()
        file.unlink()
    at = 0
    cuts = iter(bundle.cuts)
    for record, head, tail in zip(cuts, cuts, cuts, strict=True):
        middle = at + head
        end = middle + tail
        yield Encoded(record, data[at:middle], data[middle:end])
        at = end
