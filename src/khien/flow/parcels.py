"""Parcels of the spool to batches of events."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from khien.collect.spool import Parcel
from khien.errors import Problem
from khien.events.batch import EventBatch
from khien.events.mapping import Classifier
from khien.events.records import RecordBlock
from khien.formats.format import Format
from khien.formats.ndjson import LineProjection, LineReader, is_lines
from khien.formats.sniff import formats, sniff

LINES = "json"
"""The format whose lines are scanned before they are decoded."""


def format_of(parcel: Parcel) -> Format | None:
    """The format a parcel says it has, or the one its content tells; None when it is in none that is known."""
    if parcel.format:
        return formats().get(parcel.format)
    return sniff(parcel.data[: 64 << 10])


def is_json_lines(parcel: Parcel, found: Format | None) -> bool:
    """Whether the parcel is one JSON object a line."""
    if found is None or found.name != LINES:
        return False
    return parcel.format == LINES or is_lines(parcel.data[: 64 << 10])


def blocks(parcel: Parcel, found: Format, problems: list[Problem]) -> Iterator[RecordBlock]:
    """The records of a parcel, by its format's reader."""
    yield from found.read(io.BytesIO(parcel.data), parcel.source, problems.append)


@dataclass(slots=True)
class Read:
    """A parcel as batches by kind, and what could not be read."""

    batches: list[EventBatch] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class ParcelReader:
    """Reads parcels for one detector. A batch's `path` is the source, its numbers count the parcel's records from 1."""

    def __init__(self, classifier: Classifier, projection: LineProjection) -> None:
        self._classifier = classifier
        self._projection = projection
        self._lines = LineReader(classifier, projection)

    def read(self, parcel: Parcel) -> Read:
        """All events of a parcel that rules may match."""
        out = Read()
        found = format_of(parcel)
        if found is None:
            what = f"there is no format '{parcel.format}'" if parcel.format else "is in no known log format"
            out.problems.append(Problem(parcel.source, "", what, "Set the source's format"))
        elif is_json_lines(parcel, found):
            out.batches = self._lines.read_block(parcel.data, parcel.source, out.problems.append)
        else:
            for block in blocks(parcel, found, out.problems):
                out.batches += self._classifier.batches(block, parcel.source, self._projection)
        return out
