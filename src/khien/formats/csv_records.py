"""CSV with a header line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO

from khien.errors import Problem
from khien.events.batch import Event
from khien.events.records import RecordBlock
from khien.formats.envelopes import unwrap
from khien.formats.format import MAX_LINE, Format, Report
from khien.formats.json_records import Blocks
from khien.formats.lines import read_lines

_DELIMITERS = ",;\t|"


def _delimiter(header: str) -> str:
    """The delimiter that occurs most in the header."""
    return max(_DELIMITERS, key=header.count)


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """The rows of a CSV file as records; empty cells are left out. Numbers are those of the rows, from 1."""
    source = (line.replace("\r", " ") + "\n" for _, lines in read_lines(stream, path, report) for line in lines)
    header_line = next(source, "")
    csv.field_size_limit(MAX_LINE)
    names = next(csv.reader([header_line.lstrip("\ufeff")], delimiter=_delimiter(header_line)), [])
    names = _unique([name.strip() for name in names])
    reader = csv.reader(source, delimiter=_delimiter(header_line))
    blocks = Blocks()
    bad = first = number = 0
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            report(Problem(path, f"row {number + 1}", f"not valid CSV: {error}"))
            continue
        if row is None:
            break
        if not row:
            continue
        number += 1
        if len(row) != len(names):
            bad += 1
            first = first or number
        record: Event = {name: value for name, value in zip(names, row, strict=False) if value != ""}
        for event in unwrap(record):
            if (done := blocks.add(number, event)) is not None:
                yield done
    if (done := blocks.flush()) is not None:
        yield done
    if bad:
        report(Problem(path, f"row {first}", f"does not have the {len(names)} columns of the header", count=bad))


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    out = []
    for at, name in enumerate(names, 1):
        name = name or f"column{at}"
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out


def _sniff(head: bytes) -> float:
    lines = head.decode("utf-8", "replace").lstrip("\ufeff").split("\n")
    if len(lines) < 2 or not lines[0].strip():
        return 0.0
    delimiter = _delimiter(lines[0])
    columns = lines[0].count(delimiter)
    if columns < 1 or any(not char.isprintable() and char not in "\r\t" for char in lines[0]):
        return 0.0
    rows = [line for line in lines[1:-1][:20] if line.strip()] or lines[1:2]
    close = sum(1 for row in rows if row.count(delimiter) >= columns * 0.8)
    return 0.5 * close / len(rows) if columns >= 2 else 0.2 * close / len(rows)


FORMAT = Format("csv", "CSV with a header", _sniff, read)
