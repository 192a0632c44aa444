"""Text lines of a stream, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from khien.errors import Problem
from khien.formats.format import MAX_LINE, Report

_READ = 256 << 10


def read_lines(stream: BinaryIO, path: str, report: Report) -> Iterator[tuple[int, list[str]]]:
    """(number of the first line, lines) of the stream, some hundred to some thousand at a time.

    Bytes that are no UTF-8 become U+FFFD, NULs and carriage returns at line ends are dropped. A
    line longer than `MAX_LINE` is reported and given as "" so that numbers stay right.
    """
    number = 1
    rest: list[bytes] = []
    held = 0
    skipping = False
    while data := stream.read(_READ):
        cut = data.rfind(b"\n") + 1
        if not cut:
            if not skipping:
                rest.append(data)
                held += len(data)
                if held > MAX_LINE:
                    report(Problem(path, f"line {number}", f"longer than {MAX_LINE >> 20} MB: skipped"))
                    rest, held, skipping = [], 0, True
            continue
        block = data[:cut]
        if skipping:
            block = block[block.find(b"\n") :]
            skipping = False
        else:
            block = b"".join((*rest, block))
        rest, held = [data[cut:]], len(data) - cut
        lines = _texts(block)
        lines.pop()
        yield number, lines
        number += len(lines)
    if held:
        yield number, _texts(b"".join(rest))


def _texts(block: bytes) -> list[str]:
    text = block.decode("utf-8", "replace")
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text.split("\n")


def share(head: bytes, test: Callable[[str], object]) -> float:
    """The share of the first lines (at most 20, the last one left out when cut) that pass a test."""
    lines = head.decode("utf-8", "replace").split("\n")
    if len(lines) > 1:
        lines.pop()
    lines = [line.rstrip("\r") for line in lines[:40] if line.strip() and not line.startswith("#")][:20]
    if not lines:
        return 0.0
    return sum(1 for line in lines if test(line)) / len(lines)
