"""The fast path for JSON lines: of each event, look at the raw values that rules read, and no further.

Windows records, flat (one object a line with `EventID` and `Channel` at its top) or nested (`Event` with
`System` and `EventData`), are scanned for the raw values of indexed fields; a line whose values no rule
matches is done with there. Of the other flat ones the fields that rules read are decoded, and a
dictionary is made only of events that match. Every other line goes through the general JSON reader.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, BinaryIO, Protocol

import msgspec
import orjson

from khien._native import Frame, Keywords, Questions, Scanner
from khien._native import Shape as NativeShape
from khien._native import Template as NativeTemplate
from khien.errors import Problem
from khien.events.batch import MISSING, Event, EventBatch, EventKind, Hole, Projection, Template, Value, ValueScan
from khien.events.mapping import Classifier
from khien.events.timestamps import format_time, parse_time
from khien.formats.format import MAX_LINE, Report
from khien.formats.json_records import loads, read_lines
from khien.formats.windows_shapes import FLAT_NAMES, flat_record, nested_record

BLOCK = 1 << 20
"""Bytes read at a time."""
FAMILY = "windows"
_MOST_SHAPES = 1_000
_MOST_TEMPLATES = 10_000
_NESTED = ("EventData", "UserData", "System", "winlog", "winlog.channel", "winlog.event_id")
"""Fields of other shapes: records with one at their top are not flat."""
_UNREADABLE = (AttributeError, KeyError, RecursionError, TypeError, ValueError, msgspec.MsgspecError)


class LineProjection(Projection, Protocol):
    """A projection that also looks at raw values, and finds keywords in raw bytes."""

    def scan(self, kind: EventKind) -> ValueScan | None:
        """How to tell events of the kind that no rule matches; None when no rule can match any."""

    def keywords(self, kind: EventKind) -> Keywords | None:
        """What finds in raw lines of the kind the keywords of its rules; None where any line may hold one."""

    def told(self, key: str, number: int, head: bytes, tail: bytes) -> None:
        """What a template made of event `number`, before and after its record number."""


class _Shape:
    """How lines of one kind are scanned and decoded."""

    def __init__(self, kind: EventKind, projection: LineProjection, nested: bool) -> None:
        self.kind = kind
        self.nested = nested
        names = kind.names if nested else partial(flat_names, kind)
        scan = projection.scan(kind)
        self.fields = (projection.fields(kind) if scan else None) or ()
        wants_text = scan is not None and projection.wants_text(kind)
        choices = [names(name) for name in self.fields]
        first = [names[0] for names in choices]
        others = [(at, name) for at, names in enumerate(choices) for name in names[1:]]
        self.alternates = [(at, len(first) + n) for n, (at, _) in enumerate(others)]
        self.width = len(first)
        self.decode = _decoder((*first, *(name for _, name in others)))
        self._names = names
        self._templates: dict[Template, NativeTemplate] = {}
        self.native = NativeShape(
            self._questions(scan) if scan else None,
            wants_text,
            projection.keywords(kind) if wants_text else None,
            _frame(kind, nested),
        )

    def _questions(self, scan: ValueScan) -> Questions:
        names, settle = self._names, scan.settle
        shape = weakref.ref(self)

        def answer(signature: tuple[int, ...]) -> bool | list[NativeTemplate] | Questions:
            settled = settle(signature)
            if isinstance(settled, bool):
                return settled
            own = shape()
            assert own is not None
            if isinstance(settled, ValueScan):
                return own._questions(settled)
            return [own._native(template) for template in settled]

        return Questions(
            [(names(name), column) for name, column in scan.columns],
            scan.extra,
            [(names(one), names(other)) for one, other in scan.references],
            answer,
        )

    def _native(self, template: Template) -> NativeTemplate:
        known = self._templates.get(template)
        if known is None:
            if len(self._templates) >= _MOST_TEMPLATES:
                self._templates.clear()
            pieces = [self._piece(piece) for piece in template.pieces]
            known = self._templates[template] = NativeTemplate(template.key, pieces)
        return known

    def _piece(self, piece: bytes | Hole | str) -> bytes | str | tuple[str, ...]:
        if isinstance(piece, Hole):
            return piece.value
        return tuple(self._names(piece)) if isinstance(piece, str) else piece

    def rows(self, lines: Sequence[bytes]) -> list[tuple[Value, ...]]:
        """The values of the fields that rules read, of each line."""
        rows = [self.decode(line) for line in lines]
        if not self.alternates:
            return rows
        columns = [list(column) for column in zip(*rows, strict=True)]
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


def _frame(kind: EventKind, nested: bool) -> Frame:
    """Where records of a kind have what templates ask for."""
    also: dict[str, tuple[str, ...]] = {} if nested else FLAT_NAMES
    time, host, user = ([(name, *also.get(name, ())) for name in names] for names in (kind.time, kind.host, kind.user))
    heads = {name.partition(".")[0] for name in (*kind.time, *kind.host, *kind.user) if "." in name}
    return Frame(time, host, user, list(also.items()), "EventID", list(heads), _moment)


def _moment(raw: bytes) -> bytes | None:
    """The JSON text of a raw JSON time in the form of findings; None where it is none."""
    moment = parse_time(loads(raw))
    return None if moment is None else b'"%s"' % format_time(moment).encode()


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
    """Reads JSON lines for one consumer, one stream after another. `lines` counts those of the last one."""

    def __init__(self, classifier: Classifier, projection: LineProjection) -> None:
        self._classifier = classifier
        self._projection = projection
        self._keys = classifier.key_fields(FAMILY)
        self._channel, self._event_id = self._keys.index("Channel"), self._keys.index("EventID")
        self._route = _decoder((*self._keys, "Event"))
        self.lines = 0
        self._begin()

    def _begin(self) -> None:
        """Know no shapes."""
        own = weakref.WeakMethod(self._shape)  # the scanner must not keep alive what keeps it alive

        def shape_of(line: bytes) -> NativeShape | None:
            shape = own()
            assert shape is not None
            return shape(line)

        self._scanner = Scanner(self._keys, _NESTED, shape_of)
        self._by_kind: dict[tuple[EventKind, bool], _Shape] = {}
        self._by_native: dict[NativeShape, _Shape] = {}

    def read(self, stream: BinaryIO, path: str, report: Report) -> Iterator[list[EventBatch]]:
        """The events of a stream of lines, a list of batches for each block of lines.

        Numbers count from 1 at its first line.
        """
        self.lines = 0
        rest = b""
        pieces: list[bytes] = []  # of a line longer than a block
        held = 0
        skipping = False
        while data := stream.read(BLOCK):
            cut = data.rfind(b"\n") + 1
            if not cut:
                if not skipping:
                    pieces.append(data)
                    held += len(data)
                if held > MAX_LINE and not skipping:
                    self._too_long(path, report)
                    rest, pieces, held, skipping = b"", [], 0, True
                continue
            if skipping:
                first = data.find(b"\n") + 1
                data, cut, skipping = data[first:], cut - first, False
                self.lines += 1
            else:
                data = b"".join((rest, *pieces, data)) if held else data
                cut += held
            if cut:
                yield self._block(data, cut, path, report)
            rest, pieces = data[cut:], []
            held = len(rest)
        if skipping:
            self.lines += 1
        elif held:
            data = b"".join((rest, *pieces))
            yield self._block(data, len(data), path, report)

    def read_block(self, data: bytes, path: str, report: Report) -> list[EventBatch]:
        """The events of one block of whole lines, numbered from 1."""
        return self._block(data, len(data), path, report, range(1, len(data) + 2))

    def read_records(self, lines: Sequence[str], numbers: Sequence[int], path: str, report: Report) -> list[EventBatch]:
        """The events of records that are each one line of JSON, under their own numbers."""
        data = "\n".join(lines).encode("utf-8", "replace")
        return self._block(data, len(data), path, report, numbers)

    def _too_long(self, path: str, report: Report) -> None:
        report(Problem(path, f"line {self.lines + 1}", f"the line is longer than {MAX_LINE >> 20} MB and was skipped"))

    def _block(
        self, data: bytes, end: int, path: str, report: Report, numbers: Sequence[int] | None = None
    ) -> list[EventBatch]:
        """The events of the lines in the first `end` bytes; `numbers` of the records if not those of the lines."""
        if len(self._by_kind) > _MOST_SHAPES:  # channels without end: begin anew
            self._begin()
        in_json = orjson.dumps(path.encode("utf-8", "replace").decode())
        count, general, found, told = self._scanner.scan(data, end, in_json)
        if numbers is None:
            numbers = range(self.lines + 1, self.lines + count + 1)
        self.lines += count
        by_shape: dict[NativeShape, list[tuple[int, bytes, tuple[int, ...]]]] = {}
        for native, at, start, stop, signature in found:
            by_shape.setdefault(native, []).append((numbers[at], data[start:stop], signature))
        others = [(numbers[at], data[start:stop]) for at, start, stop in general]
        batches = []
        for native, lines in by_shape.items():
            shape = self._by_native[native]
            try:
                batches.append(self._batch(shape, path, lines))
            except _UNREADABLE:  # the scan forgives what the decoder does not, such as half a surrogate pair
                good: list[tuple[int, bytes, tuple[int, ...]]] = []
                for line in lines:
                    if self._readable(shape, path, line):
                        good.append(line)
                    else:
                        others.append(line[:2])
                if good:
                    batches.append(self._batch(shape, path, good))
        if others:
            batches += self._general(sorted(others), path, report)
        for at, key, head, tail in told:
            self._projection.told(key, numbers[at], head, tail)
        return batches

    def _readable(self, shape: _Shape, path: str, line: tuple[int, bytes, tuple[int, ...]]) -> bool:
        try:
            self._batch(shape, path, [line])
        except _UNREADABLE:
            return False
        return True

    def _batch(self, shape: _Shape, path: str, found: Sequence[tuple[int, bytes, tuple[int, ...]]]) -> EventBatch:
        lines = [line for _, line, _ in found]
        event: Callable[[int], Event]
        if shape.nested:
            records = [nested_record(loads(line)["Event"]) for line in lines]
            read = self._classifier.getter(shape.kind, shape.fields)
            rows = [read(record) for record in records]
            event = records.__getitem__
        else:
            rows = shape.rows(lines)

            def event(index: int) -> Event:
                return flat_record(loads(lines[index]))

        return EventBatch(
            shape.kind,
            path,
            shape.fields,
            rows,
            [number for number, _, _ in found],
            event,
            signatures=[signature for _, _, signature in found],
        )

    def _shape(self, line: bytes) -> NativeShape | None:
        """The shape for a line; None where it is no Windows record."""
        try:
            *values, event = self._route(line)
            key = tuple(values)
            if event is not MISSING:
                record = nested_record(event)
                key = tuple([record.get(name, MISSING) for name in self._keys])
        except (AttributeError, KeyError, msgspec.MsgspecError, TypeError, RecursionError) as error:
            raise ValueError(str(error)) from error
        channel, event_id = key[self._channel], key[self._event_id]
        if not isinstance(channel, str) or isinstance(event_id, bool) or not isinstance(event_id, int | str):
            return None
        kind = self._classifier.kind(FAMILY, key)
        if any("." in name for name in self._projection.fields(kind) or ()):
            return None  # a path into what the scan does not look into
        nested = event is not MISSING
        shape = self._by_kind.get((kind, nested))
        if shape is None:
            shape = self._by_kind[kind, nested] = _Shape(kind, self._projection, nested)
            self._by_native[shape.native] = shape
        return shape.native

    def _general(self, lines: list[tuple[int, bytes]], path: str, report: Report) -> Iterator[EventBatch]:
        for block in read_lines(lines, path, report):
            yield from self._classifier.batches(block, path, self._projection)


def is_lines(head: bytes) -> bool:
    """Whether JSON begins with a whole object on its first line, or with one line too long to see its end."""
    first, newline, rest = head.lstrip(b" \t\r\n\xef\xbb\xbf").partition(b"\n")
    if not first.startswith(b"{"):
        return False
    return (
        first.rstrip().endswith(b"}") if newline else (not rest and len(head) >= 4096) or first.rstrip().endswith(b"}")
    )
