"""What every format module offers: a `FORMAT` of this type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from khien.errors import Problem
from khien.events.records import RecordBlock

Report = Callable[[Problem], None]
# (stream, path for messages, where problems go) to blocks. The stream is read forward only, with
# `read(n)`, unless the format is `seekable`. A reader never raises for bad bytes: it reports a
# Problem and goes on; it holds no more than a few MB of the input at a time.
Reader = Callable[[BinaryIO, str, Report], Iterator[RecordBlock]]

BLOCK_RECORDS = 2048
"""How many records a block has at most."""
LONGEST_REASON = 160
MAX_LINE = 16 << 20
"""Longest line or record taken, in bytes; a longer one is reported, skipped and the rest goes on."""


def shortened(reason: object) -> str:
    """What a library says went wrong, on one line; the kind of error where it says nothing."""
    text = " ".join(str(reason).split()) or type(reason).__name__
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + "…"


@dataclass(frozen=True, slots=True)
class Format:
    """A log format.

    `sniff(head)` gets the first bytes of the input (up to 64 KiB, text already turned to UTF-8)
    and gives 0.0 (surely not) to 1.0 (surely).
    """

    name: str
    title: str
    sniff: Callable[[bytes], float]
    read: Reader
    seekable: bool = False
