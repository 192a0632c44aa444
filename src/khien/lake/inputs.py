"""The lake's events as inputs of a hunt: each data file as the lines its events came in."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, Final, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from khien.errors import Problem
from khien.events.common import UNKNOWN, label
from khien.events.mapping import Classifier
from khien.formats.format import Report
from khien.formats.inputs import Input
from khien.formats.sniff import sniff
from khien.lake.errors import LakeError
from khien.lake.files import DataFile
from khien.lake.schema import EVENTS, MOMENT, UNPARSED
from khien.lake.storage import Storage
from khien.lake.store import Lake

LINES: Final = "json"
_AUDIT: Final = "auditd"
_LINE_FORMATS: Final = {"syslog": "syslog", "weblog": "weblog", "cef": "cef", "keyvalue": "keyvalue", "text": "text"}
"""Formats whose every line stands for itself, by the families of their records."""
_FIRST_LINES: Final = 50
_W3C: Final = re.compile(r"\d{4}-\d\d-\d\d[\t ]\d\d:\d\d:\d\d[\t ]")
_BATCH: Final = 4096


@dataclass(frozen=True, slots=True)
class Span:
    """The rows [first, last) of a data file (its path relative to the table): those of a period."""

    path: str
    first: int
    last: int


def files_of(lake: Lake, since: int | None, until: int | None) -> list[DataFile]:
    """The files that can hold events of a period (microseconds UTC, both ends included), by their first time."""
    return [file for file in lake.files(EVENTS) if file.may_hold(since, None if until is None else until + 1)]


def lake_inputs(
    storage: Storage, files: Sequence[DataFile], since: int | None, until: int | None, report: Report
) -> list[Input]:
    """Inputs for the events of these files whose `time` lies in the period, always the same for the same files.

    A file is one input for each format its sources sent in, told from their first lines: the original lines,
    or the events as JSON lines where a line alone does not say what it means. Its `path` is that of the
    file, its records count the file's rows. The records of one audit event may lie in several files: those of
    a source and day are one input. What was stored unparsed is reported and left out.
    """
    inputs: list[Input] = []
    audit: dict[tuple[str, str], list[Span]] = defaultdict(list)
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    unparsed = 0
    for file in files:
        try:
            plan = _plan(storage, file, since, until)
        except (OSError, pa.ArrowException) as error:
            report(_missing(file, error))
            continue
        if plan.span.first >= plan.span.last:
            continue
        if file.partition["logsource"] == UNPARSED:
            unparsed += plan.span.last - plan.span.first
            continue
        for source in plan.sources.pop(_AUDIT, ()):
            key = (file.partition["day"], source)
            audit[key].append(plan.span)
            sizes[key] += plan.size // 2
        whole = len(plan.sources) == 1
        for name, sources in sorted(plan.sources.items()):
            rows = _Rows(storage, (plan.span,), name, frozenset(sources))
            path = file.path if whole else f"{file.path}!{name}"
            form = LINES if name in ("event", LINES) else name
            inputs.append(Input(path, plan.size, rows, format=form, before=plan.span.first if whole else 0))
    for (day, source), spans in sorted(audit.items()):
        rows = _Rows(storage, tuple(spans), _AUDIT, frozenset({source}))
        inputs.append(Input(f"day={day}/{_AUDIT}/{source}", sizes[day, source], rows, format=_AUDIT))
    if unparsed:
        remedy = "Mend their mapping or format, then run khien lake reparse"
        report(Problem(storage.uri, "", "is stored unparsed and not searched", remedy, count=unparsed))
    return inputs


@dataclass(slots=True)
class _Plan:
    """A file's rows of the period, and which sources sent what: format (or "event") to their names."""

    span: Span
    size: int
    sources: dict[str, list[str]]


def _plan(storage: Storage, file: DataFile, since: int | None, until: int | None) -> _Plan:
    with storage.open(f"{EVENTS.name}/{file.path}") as stream:
        reader = pq.ParquetFile(stream)
        span = _span(reader, file.path, since, until)
        if span.first >= span.last or file.partition["logsource"] == UNPARSED:
            return _Plan(span, 0, {})
        heads: dict[str, list[str]] = {}
        lines = False
        for batch in _batches(reader, span, ["source", "raw"]):
            raw = batch.column("raw")
            lines = lines or raw.null_count > 0
            if raw.null_count < len(raw):
                _take_heads(heads, batch)
        size = _column_bytes(reader, "event") if lines else _column_bytes(reader, "raw")
        rows = max(reader.metadata.num_rows, 1)
    sources: dict[str, list[str]] = defaultdict(list)
    if lines:
        sources[LINES] = []
    for source, head in heads.items():
        sources[_format(head, file.partition["logsource"])].append(source)
    return _Plan(span, max(1, size * (span.last - span.first) // rows), dict(sources))


def _span(reader: Any, path: str, since: int | None, until: int | None) -> Span:
    """The rows of the period: a file is in order of time."""
    count = reader.metadata.num_rows
    if since is None and until is None:
        return Span(path, 0, count)
    times = reader.read(columns=["time"]).column("time").cast(pa.int64()).to_numpy()
    first = 0 if since is None else int(times.searchsorted(since, "left"))
    last = count if until is None else int(times.searchsorted(until, "right"))
    return Span(path, first, last)


def _take_heads(heads: dict[str, list[str]], batch: pa.RecordBatch) -> None:
    """The first original lines of each source."""
    named = batch.column("source").fill_null("").dictionary_encode()
    for at, source in enumerate(named.dictionary.to_pylist()):
        head = heads.setdefault(source, [])
        if len(head) < _FIRST_LINES:
            mine = batch.column("raw").filter(pc.equal(named.indices, at)).drop_null()
            head += mine.slice(0, _FIRST_LINES - len(head)).to_pylist()
        if not head:
            del heads[source]


def _format(head: Sequence[str], logsource: str) -> str:
    """The format of a source's lines, "event" where they do not say what they mean one by one."""
    found = sniff("\n".join([*head, ""]).encode("utf-8", "replace"))
    families = _families().get(logsource, frozenset())
    by_label = {_LINE_FORMATS[family] for family in families if family in _LINE_FORMATS}
    if found is None:
        return by_label.pop() if len(by_label) == 1 else "event"
    if found.name == "text" and families and "text" not in by_label:
        return "event"  # anything with a time at its beginning looks like text
    if "weblog" in by_label and found.name != "weblog" and _W3C.match(head[0]):
        return "event"  # and this like syslog
    return found.name if found.name in _LINE_FORMATS or found.name == _AUDIT else "event"


@lru_cache(maxsize=1)
def _families() -> Mapping[str, frozenset[str]]:
    """The families whose events have a label."""
    found: dict[str, set[str]] = defaultdict(set)
    for family, table in Classifier.load().tables.items():
        for entry in table.entries:
            if (named := label(tuple(entry.logsources))) != UNKNOWN:
                found[named].add(family)
    return {named: frozenset(families) for named, families in found.items()}


def _column_bytes(reader: Any, name: str) -> int:
    metadata = reader.metadata
    at = metadata.schema.names.index(name)
    return sum(metadata.row_group(n).column(at).total_uncompressed_size for n in range(metadata.num_row_groups))


def _batches(reader: Any, span: Span, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a span, reading the row groups that hold them."""
    start = 0
    for number in range(reader.metadata.num_row_groups):
        end = start + reader.metadata.row_group(number).num_rows
        if start < span.last and end > span.first:
            at = start
            for batch in reader.iter_batches(_BATCH, row_groups=[number], columns=columns):
                low, high = max(span.first - at, 0), min(span.last - at, len(batch))
                if low < high:
                    yield batch.slice(low, high - low)
                at += len(batch)
        start = end


@dataclass(frozen=True, slots=True)
class _Rows:
    """Opens rows as lines of one format: those of its sources, or for JSON lines all without an original text."""

    storage: Storage
    spans: tuple[Span, ...]
    form: str
    sources: frozenset[str]

    def __call__(self) -> AbstractContextManager[BinaryIO]:
        return cast(BinaryIO, LineStream(self._blocks()))

    def _blocks(self) -> Iterator[bytes]:
        if self.form == _AUDIT:
            yield from self._audit()
            return
        columns = ["raw", "event"] if self.form in (LINES, "event") else ["raw"]
        for span in self.spans:
            for batch in self._read(span, ["source", *columns]):
                yield self._lines(batch)

    def _read(self, span: Span, columns: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            with self.storage.open(f"{EVENTS.name}/{span.path}") as stream:
                yield from _batches(pq.ParquetFile(stream), span, columns)
        except FileNotFoundError as error:
            raise LakeError("the file is gone", span.path, "It was merged with others: hunt anew") from error
        except pa.ArrowException as error:
            raise LakeError(f"cannot be read: {error}", span.path, "Run khien lake check") from error

    def _lines(self, batch: pa.RecordBatch) -> bytes:
        raw = batch.column("raw")
        if self.form == LINES:
            texts = batch.column("event").filter(raw.is_null())
        else:
            mine = pc.and_(raw.is_valid(), self._mine(batch))
            texts = batch.column("event" if self.form == "event" else "raw").filter(mine)
        return "".join([_one_line(text) + "\n" for text in texts.to_pylist() if text is not None]).encode(
            "utf-8", "surrogatepass"
        )

    def _mine(self, batch: pa.RecordBatch) -> Any:
        return pc.is_in(batch.column("source").fill_null(""), pa.array(sorted(self.sources), pa.string()))

    def _audit(self) -> Iterator[bytes]:
        """The records of a source and day in the order they came in, each once: what they say together is a row too."""
        parts = []
        for span in self.spans:
            for batch in self._read(span, ["source", "received", "spool", "raw"]):
                kept = batch.filter(pc.and_(batch.column("raw").is_valid(), self._mine(batch)))
                parts.append(pa.Table.from_batches([kept]).select(["received", "spool", "raw"]))
        if not parts:
            return
        table = pa.concat_tables(parts)
        received = table.column("received").cast(MOMENT).cast(pa.int64()).to_pylist()
        spools = table.column("spool").to_pylist()
        keys = [(*_place(spool), moment) for spool, moment in zip(spools, received, strict=True)]
        order = sorted(range(len(keys)), key=lambda at: (keys[at][3], keys[at][:3]))
        raw = table.column("raw")
        last: tuple[tuple[int, int, int, int], str] | None = None
        out: list[str] = []
        for at in order:
            text = raw[at].as_py()
            if last == (keys[at], text) and keys[at][2]:
                continue
            last = keys[at], text
            out.append(_one_line(text) + "\n")
            if len(out) >= _BATCH:
                yield "".join(out).encode("utf-8", "surrogatepass")
                out = []
        yield "".join(out).encode("utf-8", "surrogatepass")


def _place(spool: str | None) -> tuple[int, int, int]:
    """Lane, sequence and line of a row's place in the spool; zeros where it says none."""
    parts = (spool or "").split(":")[:3]
    numbers = [int(part.split(".")[0]) if part.split(".")[0].isdecimal() else 0 for part in parts]
    numbers += [0] * (3 - len(numbers))
    return numbers[0], numbers[1], numbers[2]


def _one_line(text: str) -> str:
    """A text without line breaks: what came as one event is read as one."""
    return text.replace("\r\n", " ").replace("\n", " ") if "\n" in text else text


def _missing(file: DataFile, error: BaseException) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem(file.path, "", "the file is gone", "It was merged with others: hunt anew")
    return Problem(file.path, "", f"cannot be read: {error}", "Run khien lake check")


class LineStream(io.RawIOBase):
    """Blocks of whole lines as a file to read once."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        super().__init__()
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not."""
        return False

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or all; none at the end."""
        parts: list[bytes] = []
        left = size if size >= 0 else 1 << 62
        while left > 0:
            if not self._rest:
                block = next(self._blocks, None)
                if block is None:
                    break
                self._rest = memoryview(block)
                continue
            piece = self._rest[:left]
            self._rest = self._rest[len(piece) :]
            parts.append(bytes(piece))
            left -= len(piece)
        return b"".join(parts)
