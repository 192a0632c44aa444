"""Parcels to rows of the lake: every event, its common columns, and the text of what could not be parsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from khien._native import Extractor
from khien.collect.spool import Parcel
from khien.errors import Problem
from khien.events.batch import Event, EventKind, read_path
from khien.events.common import COLUMNS, UNKNOWN, common_fields, common_text, label
from khien.events.mapping import Classifier
from khien.events.timestamps import parse_time
from khien.flow.parcels import blocks, format_of, is_json_lines
from khien.formats.json_records import line_records, shaped
from khien.formats.windows_shapes import FLAT_NAMES
from khien.hunt.assembly import dump
from khien.lake.schema import EVENT_SCHEMA, MOMENT

UNPARSED = "unparsed"
_DAY = 86_400_000_000
_OLDEST = 400 * _DAY
_AHEAD = _DAY
_TEXTS = tuple(name for name in COLUMNS if name != "time")
_KEY = ("Channel", "EventID")
_NESTED = ("EventData", "UserData", "winlog")
_LINE_FORMATS = frozenset({"syslog", "weblog", "cef", "keyvalue", "text"})
_LONGEST_REASON = 300


_ROW_COLUMNS = ("number", "moment", "logsource", *_TEXTS, "event", "raw", "reason")


@dataclass(slots=True)
class _Rows:
    """Rows under construction: one list a column."""

    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in _ROW_COLUMNS})

    def add(self, **values: Any) -> None:
        for name, column in self.columns.items():
            column.append(values.get(name))


class RowMaker:
    """Makes rows of EVENT_SCHEMA. `unparsed` counts by source what was stored raw with a reason."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        fields = common_fields()
        names = [[*fields["time"], *(n for own in fields["time"] for n in FLAT_NAMES.get(own, ()))]]
        names += [[*fields[name], *(n for own in fields[name] for n in FLAT_NAMES.get(own, ()))] for name in _TEXTS]
        names += [["Channel"], ["EventID"]]
        self._extractor = Extractor(names, _NESTED)
        self._products = {
            source.product
            for table in classifier.tables.values()
            for entry in table.entries
            for source in entry.logsources
        }
        self.unparsed: dict[str, int] = {}
        self.skew: float | None = None
        """Of the last parcel: by how much its events' own times lie behind its arrival, median, in seconds."""

    def table(self, lane: int, sequence: int, parcel: Parcel, unit: str) -> pa.Table:
        """The rows of one parcel, in no particular order."""
        found = format_of(parcel)
        self.skew = None
        if is_json_lines(parcel, found):
            parts = self._lines(lane, sequence, parcel, unit)
        else:
            rows = _Rows()
            problems: list[Problem] = []
            seen: set[int] = set()
            if found is not None:
                try:
                    for block in blocks(parcel, found, problems):
                        for at, (number, record) in enumerate(zip(block.numbers, block.records, strict=True)):
                            seen.add(number)
                            text = block.texts[at] if block.texts is not None else None
                            self._record(rows, number, block.family, record, text)
                except (ValueError, RecursionError, MemoryError) as error:
                    problems.append(Problem(parcel.source, "", str(error)))
            if found is None or found.name in _LINE_FORMATS or not seen:
                self._rest(rows, parcel, seen, problems)
            parts = [self._finish(rows, lane, sequence, parcel, unit)]
        return pa.concat_tables(parts)

    def _lines(self, lane: int, sequence: int, parcel: Parcel, unit: str) -> list[pa.Table]:
        count, numbers, general, buffers = self._extractor.extract(parcel.data)
        parts = []
        if count:
            arrays = [
                pa.Array.from_buffers(pa.string(), count, list(map(pa.py_buffer, (valid, offsets, text))))
                for offsets, text, valid in buffers
            ]
            places = np.frombuffer(numbers, dtype="<u4").astype(np.int64) + 1
            columns: dict[str, Any] = dict(zip(("moment", *_TEXTS), arrays, strict=False))
            columns["moment"] = self._sane(_moments(arrays[0]), parcel.received)
            columns["logsource"] = self._labels(arrays[-3], arrays[-2])
            columns["event"] = arrays[-1]
            parts.append(_assemble(columns, pa.array(places), lane, sequence, parcel, unit))
        if general:
            rows = _Rows()
            for number, start, end in general:
                self._json_line(rows, number + 1, parcel, parcel.data[start:end])
            parts.append(self._finish(rows, lane, sequence, parcel, unit))
        return parts or [EVENT_SCHEMA.empty_table()]

    def _json_line(self, rows: _Rows, number: int, parcel: Parcel, line: bytes) -> None:
        reason = "is no JSON object"
        records: list[Event] = []
        try:
            records = line_records(line)
            for record in records:
                self._record(rows, number, *shaped(record), None)
        except (ValueError, RecursionError) as error:
            records, reason = [], str(error)
        if not records:
            self._unparsed(rows, number, parcel.source, line.decode("utf-8", "replace"), reason)

    def _record(self, rows: _Rows, number: int, family: str, record: Event, text: str | None) -> None:
        kind = self._classifier.classify(family, record)
        times = (parse_time(read_path(record, name)) for name in (*kind.time, *common_fields()["time"]))
        moment = next((each for each in times if each is not None), None)
        rows.add(
            number=number,
            moment=moment,
            logsource=self._label(kind),
            event=dump(record).decode(),
            raw=text,
            **{name: common_text(record, kind, name) for name in _TEXTS},
        )

    def _rest(self, rows: _Rows, parcel: Parcel, seen: set[int], problems: Sequence[Problem]) -> None:
        """Lines that gave no record, stored as they are."""
        reasons = {problem.place: problem.what for problem in problems}
        common = problems[0].what if problems else "is in no known log format"
        for at, line in enumerate(parcel.data.split(b"\n"), 1):
            if at not in seen and line.strip():
                reason = reasons.get(f"line {at}", common)
                self._unparsed(rows, at, parcel.source, line.decode("utf-8", "replace"), reason)

    def _unparsed(self, rows: _Rows, number: int, source: str, text: str, reason: str) -> None:
        self.unparsed[source] = self.unparsed.get(source, 0) + 1
        rows.add(number=number, logsource=UNPARSED, raw=text, reason=reason[:_LONGEST_REASON])

    def _label(self, kind: EventKind) -> str:
        known = tuple(source for source in kind.logsources if source.product in self._products)
        return label(known)

    def _labels(self, channels: pa.Array, event_ids: pa.Array) -> pa.Array:
        """The label of each event by its channel and event id."""
        keys = pc.binary_join_element_wise(channels, event_ids, "\0", null_handling="replace", null_replacement="")
        encoded = keys.dictionary_encode()
        labels = []
        names = self._classifier.key_fields("windows")
        for key in encoded.dictionary.to_pylist():
            channel, _, number = key.partition("\0")
            if not channel or not number:
                labels.append(UNKNOWN)
                continue
            values = {"Channel": channel, "EventID": int(number) if number.isdecimal() and len(number) < 10 else number}
            labels.append(self._label(self._classifier.kind("windows", tuple([values.get(name) for name in names]))))
        return pa.array(labels, pa.string()).take(encoded.indices)

    def _sane(self, moments: pa.Array, received: int) -> pa.Array:
        """Times, or `received` where there is none, or where it is so long past or ahead that the clock must be wrong.

        Such times would scatter the lake's partitions; the event keeps what it says.
        """
        if len(moments) > moments.null_count:
            self.skew = (received - int(pc.approximate_median(moments).as_py())) / 1e6
        good = pc.and_(pc.greater_equal(moments, received - _OLDEST), pc.less_equal(moments, received + _AHEAD))
        return pc.if_else(pc.fill_null(good, False), moments, pa.scalar(received, pa.int64()))

    def _finish(self, rows: _Rows, lane: int, sequence: int, parcel: Parcel, unit: str) -> pa.Table:
        columns: dict[str, Any] = {}
        for name, values in rows.columns.items():
            if name == "moment":
                moments = pa.array([each if _fits(each) else None for each in values], pa.int64())
                columns[name] = self._sane(moments, parcel.received)
            elif name != "number":
                columns[name] = pa.array(values, pa.string())
        places = pa.array(_places(rows.columns["number"]), pa.string())
        return _assemble(columns, places, lane, sequence, parcel, unit)


def plausible(moment: int, received: int) -> bool:
    """Whether a time can be that of an event received then; others would scatter the lake's partitions."""
    return received - _OLDEST <= moment <= received + _AHEAD


def _places(numbers: Sequence[int]) -> list[str]:
    """The numbers as text, each once: further events of a line have .1, .2 ... after its number."""
    seen: dict[int, int] = {}
    places = []
    for number in numbers:
        more = seen[number] = seen.get(number, -1) + 1
        places.append(f"{number}.{more}" if more else str(number))
    return places


def _fits(moment: int | None) -> bool:
    return moment is not None and -(2**62) < moment < 2**62


def _moments(texts: pa.Array) -> pa.Array:
    """Times as written to microseconds UTC; null where there is none or it cannot be."""
    try:
        return pc.cast(texts, MOMENT).cast(pa.int64())
    except pa.ArrowInvalid:
        encoded = texts.dictionary_encode()
        parsed = [parse_time(text) for text in encoded.dictionary.to_pylist()]
        values = pa.array([each if _fits(each) else None for each in parsed], pa.int64())
        return values.take(encoded.indices)


def _assemble(
    columns: dict[str, Any], numbers: pa.Array, lane: int, sequence: int, parcel: Parcel, unit: str
) -> pa.Table:
    count = len(numbers)
    time = columns.pop("moment").cast(MOMENT)
    columns["time"] = time
    columns["day"] = time.cast(pa.date32())
    columns["received"] = pa.repeat(pa.scalar(parcel.received, pa.int64()), count).cast(MOMENT)
    columns["source"] = pa.repeat(parcel.source, count)
    columns["unit"] = pa.repeat(unit, count)
    columns["spool"] = pc.binary_join_element_wise(f"{lane}:{sequence}:", numbers.cast(pa.string()), "")
    arrays = [columns[each.name] if each.name in columns else pa.nulls(count, each.type) for each in EVENT_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=EVENT_SCHEMA)
