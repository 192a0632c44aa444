"""The fast path for JSON lines: of each event, read only what rules will look at.

Flat Windows records (one object a line with `EventID` and `Channel` at its top) are decoded into
the fields that rules read and nothing else; a dictionary is made only of events that match. The
kind is guessed from the bytes and verified by what was decoded, so most lines are parsed once.
Every other line goes through the general JSON reader.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any, BinaryIO, Protocol

import msgspec

from khien.errors import Problem
from khien.events.batch import MISSING, Event, EventBatch, EventKind, Projection, Value
from khien.events.mapping import Classifier
from khien.formats.format import MAX_LINE, Report
from khien.formats.json_records import line_records, read_lines
from khien.formats.windows_shapes import FLAT_NAMES, flat_record

BLOCK = 2 << 20
"""Bytes read at a time."""
FAMILY = "windows"
_guess = re.compile(rb'"EventID": ?"?(\d+)').search


class LineProjection(Projection, Protocol):
    """A projection that also finds keywords in raw bytes."""

    def text_places(self, kinds: Sequence[EventKind], data: bytes) -> Sequence[int] | None:
        """Offsets into data near which keywords of the kinds' rules may stand; None for anywhere."""


class _Shape:
    """How lines of one kind are decoded, and those of the block at hand."""

    __slots__ = ("alternates", "decode", "fields", "indexes", "kind", "rows", "wanted", "wants_text", "width")

    def __init__(self, kind: EventKind, keys: tuple[str, ...], projection: Projection) -> None:
        self.kind = kind
        fields = projection.fields(kind)
        self.wanted = fields is not None
        self.fields = fields or ()
        self.wants_text = self.wanted and projection.wants_text(kind)
        choices = [flat_names(kind, name) for name in self.fields]
        first = [names[0] for names in choices]
        others = [(at, name) for at, names in enumerate(choices) for name in names[1:]]
        self.alternates = [(at, len(first) + n) for n, (at, _) in enumerate(others)]
        self.width = len(first)
        self.decode = _decoder((*keys, *first, *(name for _, name in others)))
        self.rows: list[tuple[Value, ...]] = []
        self.indexes: list[int] = []

    def complete_rows(self) -> list[tuple[Value, ...]]:
        """The rows with each field's first present alternate, and the alternates themselves gone."""
        if not self.alternates:
            return self.rows
        columns = [list(column) for column in zip(*self.rows, strict=True)]
        for at, other in self.alternates:
            columns[at] = [b if a is MISSING else a for a, b in zip(columns[at], columns[other], strict=True)]
        return list(zip(*columns[: self.width], strict=True))


def flat_names(kind: EventKind, name: str) -> tuple[str, ...]:
    """The names that a Sigma field may have in flat records of a kind, first choice first."""
    found: dict[str, None] = {}
    for canonical in kind.names(name):
        found[canonical] = None
        found.update(dict.fromkeys(FLAT_NAMES.get(canonical, ())))
    return tuple(found)


def _decoder(names: Sequence[str]) -> Callable[[bytes], tuple[Any, ...]]:
    """A function from a line to the values of the named top-level fields, MISSING where it has none."""
    unique = list(dict.fromkeys(names))
    attributes = [f"f{at}" for at in range(len(unique))]
    struct = msgspec.defstruct(
        "Line",
        [(attribute, Any, MISSING) for attribute in attributes],
        rename=dict(zip(attributes, unique, strict=True)),
        gc=False,
    )
    decode = msgspec.json.Decoder(struct).decode
    astuple = msgspec.structs.astuple
    if len(unique) == len(names):
        return lambda line: astuple(decode(line))
    order = [unique.index(name) for name in names]

    def reordered(line: bytes) -> tuple[Any, ...]:
        values = astuple(decode(line))
        return tuple([values[at] for at in order])

    return reordered


class LineReader:
    """Reads JSON lines for one consumer. `lines` counts those read so far."""

    def __init__(self, classifier: Classifier, projection: LineProjection) -> None:
        self._classifier = classifier
        self._projection = projection
        self._keys = classifier.key_fields(FAMILY)
        self._channel, self._event_id = self._keys.index("Channel"), self._keys.index("EventID")
        self._route = _decoder(self._keys)
        self._width = len(self._keys)
        self._shapes: dict[tuple[Value, ...], _Shape] = {}
        self._by_kind: dict[EventKind, _Shape] = {}
        self._guesses: dict[bytes, _Shape] = {}
        self.lines = 0

    def read(self, stream: BinaryIO, path: str, report: Report) -> Iterator[list[EventBatch]]:
        """The events of a stream of lines, a list of batches for each block of lines.

        Numbers count from 1 at the first line read by this reader.
        """
        rest: list[bytes] = []
        held = 0
        skipping = False
        while data := stream.read(BLOCK):
            cut = data.rfind(b"\n") + 1
            if not cut:
                if not skipping:
                    rest.append(data)
                    held += len(data)
                if held > MAX_LINE and not skipping:
                    self._too_long(path, report)
                    rest, held, skipping = [], 0, True
                continue
            if skipping:
                first = data.find(b"\n") + 1
                block, skipping = data[first:cut], False
                self.lines += 1
            else:
                block = b"".join((*rest, data[:cut]))
            rest, held = [data[cut:]], len(data) - cut
            if block:
                yield list(self._block(block, path, report))
        if skipping:
            self.lines += 1
        elif held:
            yield list(self._block(b"".join(rest), path, report))

    def _too_long(self, path: str, report: Report) -> None:
        report(Problem(path, f"line {self.lines + 1}", f"the line is longer than {MAX_LINE >> 20} MB and was skipped"))

    def _block(self, data: bytes, path: str, report: Report) -> Iterator[EventBatch]:
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        first = self.lines + 1
        self.lines += len(lines)
        used, others = self._sort(lines)
        flagged = self._flagged(used, data, lines)
        for shape in used:
            if flagged and shape.wants_text:
                others += self._set_aside(shape, flagged)
            if shape.rows:
                yield self._batch(shape, path, lines, first)
            shape.rows, shape.indexes = [], []
        if others:
            others.sort()
            yield from self._general([(first + at, lines[at]) for at in others], path, report)

    def _sort(self, lines: list[bytes]) -> tuple[list[_Shape], list[int]]:
        """Decode each line by its kind's shape; the second result is the lines for the general reader."""
        used: dict[int, _Shape] = {}
        others: list[int] = []
        shapes, guesses, width = self._shapes, self._guesses, self._width
        for at, line in enumerate(lines):
            found = _guess(line)
            if found is None:
                if line and not line.isspace():
                    others.append(at)
                continue
            digits = found[1]
            shape = guesses.get(digits)
            try:
                values = shape.decode(line) if shape is not None else self._route(line)
                key = values[:width]
                actual = shapes.get(key)
                if actual is None:
                    actual = self._shape(key)
                    if actual is None:
                        others.append(at)
                        continue
                if actual is not shape:
                    guesses[digits] = actual
                    values = actual.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, RecursionError):
                others.append(at)
                continue
            if actual.wanted:
                actual.rows.append(values[width:])
                actual.indexes.append(at)
                if len(actual.rows) == 1:
                    used[id(actual)] = actual
        return list(used.values()), others

    def _shape(self, key: tuple[Value, ...]) -> _Shape | None:
        """The shape for the key fields' values; None where the line is no flat Windows record."""
        channel, event_id = key[self._channel], key[self._event_id]
        if not isinstance(channel, str) or isinstance(event_id, bool) or not isinstance(event_id, int | str):
            return None
        kind = self._classifier.kind(FAMILY, key)
        shape = self._by_kind.get(kind)
        if shape is None:
            shape = self._by_kind[kind] = _Shape(kind, self._keys, self._projection)
        if len(self._shapes) > 50_000:
            self._shapes.clear()
        self._shapes[key] = shape
        return shape

    def _flagged(self, used: list[_Shape], data: bytes, lines: list[bytes]) -> set[int]:
        """The lines in which a keyword of the rules for their kind may stand."""
        kinds = [shape.kind for shape in used if shape.wants_text]
        if not kinds:
            return set()
        places = self._projection.text_places(kinds, data)
        if places is None:
            return set(range(len(lines)))
        if not places:
            return set()
        ends = list(accumulate(len(line) + 1 for line in lines))
        return {bisect_right(ends, place) for place in places}

    def _set_aside(self, shape: _Shape, flagged: set[int]) -> list[int]:
        aside = [at for at in shape.indexes if at in flagged]
        if aside:
            kept = [(at, row) for at, row in zip(shape.indexes, shape.rows, strict=True) if at not in flagged]
            shape.indexes = [at for at, _ in kept]
            shape.rows = [row for _, row in kept]
        return aside

    def _batch(self, shape: _Shape, path: str, lines: list[bytes], first: int) -> EventBatch:
        indexes = shape.indexes

        def event(index: int) -> Event:
            for record in line_records(lines[indexes[index]]):
                return flat_record(record)
            return {}

        return EventBatch(shape.kind, path, shape.fields, shape.complete_rows(), [first + at for at in indexes], event)

    def _general(self, lines: list[tuple[int, bytes]], path: str, report: Report) -> Iterator[EventBatch]:
        for block in read_lines(lines, path, report):
            yield from self._classifier.batches(block, path, self._projection)
