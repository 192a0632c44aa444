"""Bytes to events the way a hunt reads them, with each event's Sigma log sources and fields."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, cast

from khien.errors import Problem
from khien.events.batch import MISSING, Event, EventKind, read_path
from khien.events.mapping import Classifier
from khien.events.records import RecordBlock
from khien.events.timestamps import event_time, format_time
from khien.formats.encodings import Peeked, Recoded, text_encoding
from khien.formats.sniff import formats, sniff


@lru_cache(maxsize=1)
def classifier() -> Classifier:
    return Classifier.load()


@dataclass
class Seen:
    """An event as rules see it."""

    number: int
    record: Event
    kind: EventKind

    @property
    def sources(self) -> set[str]:
        return {str(source) for source in self.kind.logsources}

    @property
    def time(self) -> str:
        moment = event_time(self.kind, self.record)
        return "" if moment is None else format_time(moment)

    def __getitem__(self, field: str) -> Any:
        for name in self.kind.names(field):
            value = read_path(self.record, name)
            if value is not MISSING:
                return value
        return MISSING


def blocks(name: str, data: bytes | str) -> tuple[list[RecordBlock], list[Problem]]:
    """What a format's reader makes of the data."""
    raw = data.encode() if isinstance(data, str) else data
    problems: list[Problem] = []
    return list(formats()[name].read(io.BytesIO(raw), "the.log", problems.append)), problems


def see(family: str, record: Event, number: int = 1) -> Seen:
    return Seen(number, record, classifier().classify(family, record))


def read(data: bytes | str, name: str = "") -> list[Seen]:
    """The events of the data in the format it is in (or in `name`), in the order of their numbers."""
    raw = data.encode() if isinstance(data, str) else data
    stream = cast(BinaryIO, Peeked(io.BytesIO(raw)))
    head = cast(Peeked, stream).head
    if encoding := text_encoding(head):
        stream = cast(BinaryIO, Peeked(cast(BinaryIO, Recoded(stream, encoding))))
        head = cast(Peeked, stream).head
    chosen = formats()[name] if name else sniff(head)
    assert chosen is not None, "no format is told"
    if chosen.seekable:
        stream = io.BytesIO(raw)
    out = [
        see(block.family, record, number)
        for block in chosen.read(stream, "the.log", lambda problem: None)
        for number, record in zip(block.numbers, block.records, strict=True)
    ]
    return sorted(out, key=lambda seen: seen.number)


def read_one(data: bytes | str, name: str = "") -> Seen:
    """The only event of the data."""
    (seen,) = read(data, name)
    return seen
