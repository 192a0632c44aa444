"""One part of a hunt: a file, or a range of lines of one, to encoded findings."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, cast

from khien.engine.hit import Hit
from khien.errors import KhienError, Problem
from khien.events.batch import EventBatch
from khien.events.mapping import Classifier
from khien.formats import evtx
from khien.formats.encodings import Peeked, Recoded, text_encoding
from khien.formats.format import Format, Report
from khien.formats.inputs import Input
from khien.formats.ndjson import LineProjection, LineReader, is_lines
from khien.formats.sniff import formats, sniff
from khien.hunt.assembly import Encoded
from khien.hunt.finder import Finder
from khien.hunt.memory import keep_blocks
from khien.hunt.plans import HuntPlan


@dataclass(slots=True)
class Part:
    """A piece of work. `start`, `end`: the byte range whose lines are read; None for the whole input."""

    input: Input
    start: int | None = None
    end: int | None = None


@dataclass(slots=True)
class Progress:
    """What came of a piece of work since the last report of it.

    `read`: bytes taken from the input; `lines`: for a range of lines, how many it has (once, at its end).
    """

    findings: list[Encoded] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    events: int = 0
    read: int = 0
    lines: int = 0


class EventFinder(LineProjection, Protocol):
    """Takes what was read of an input, block by block; see `Finder`."""

    def find(self, batches: Iterable[EventBatch]) -> tuple[list[tuple[Encoded, str]], list[Hit]]:
        """(encoded finding, rule id) pairs and hits of a block."""


class Worker:
    """Hunts through parts, one after another, with one finder: of the plan's rules, if no other is given.

    What it learns of lines and values serves all of them.
    """

    def __init__(self, plan: HuntPlan, finder: EventFinder | None = None) -> None:
        keep_blocks()
        self.plan = plan
        self.classifier = Classifier.load()
        self.finder: EventFinder = finder or Finder(plan)
        self.lines = LineReader(self.classifier, self.finder)

    def hunt(self, part: Part) -> Iterator[Progress]:
        """Yield progress batch by batch. Bad input is reported as problems and never raises."""
        progress = Progress()
        problems: list[Problem] = []
        counted = _Counted()
        lines = 0
        try:
            with ExitStack() as stack:
                source = stack.enter_context(part.input.open())
                for batches, seen in self._blocks(part, source, counted, problems, stack):
                    lines = seen
                    found, progress.hits = self.finder.find(batches)
                    progress.findings = [encoded for encoded, _ in found]
                    progress.read += counted.take()
                    progress.events += counted.take_events()
                    yield progress
                    progress = Progress()
        except (OSError, EOFError, ValueError, RuntimeError, MemoryError, KhienError) as error:
            problems.append(_trouble(part.input.path, error))
        progress.problems = problems
        progress.read += counted.take()
        progress.events += counted.take_events()
        progress.lines = lines
        yield progress

    def _blocks(
        self, part: Part, source: BinaryIO, counted: _Counted, problems: list[Problem], stack: ExitStack
    ) -> Iterator[tuple[list[EventBatch], int]]:
        path = part.input.path

        report = problems.append
        stream: BinaryIO
        if part.start is not None and part.end is not None:
            stream = cast(BinaryIO, LineRange(source, part.start, part.end))
            counted.watch(stream)
            yield from self._lines(cast(BinaryIO, counted), path, report, counted)
            return
        counted.watch(source)
        if part.input.format == "json":
            yield from self._lines(cast(BinaryIO, counted), path, report, counted)
            return
        peeked = Peeked(cast(BinaryIO, counted))
        encoding = text_encoding(peeked.head) if not part.input.format else None
        stream = cast(BinaryIO, peeked)
        head = peeked.head
        if encoding:
            stream = cast(BinaryIO, Peeked(cast(BinaryIO, Recoded(stream, encoding))))
            head = cast(Peeked, stream).head
        chosen = self._format(head, part.input, report)
        if chosen is None:
            return
        if chosen.name == "json" and is_lines(head):
            yield from self._lines(stream, path, report, counted)
            return
        if chosen.seekable:
            stream = stack.enter_context(seekable(source, stream))
        if chosen.name == "evtx":
            for numbers, lines in evtx.read_lines(stream, path, report):
                counted.events += len(lines)
                yield self.lines.read_records(lines, numbers, path, report), 0
            return
        for block in chosen.read(stream, path, report):
            counted.events += len(block.records)
            yield list(self.classifier.batches(block, path, self.finder)), 0

    def _format(self, head: bytes, each: Input, report: Report) -> Format | None:
        wanted = self.plan.options.input_format or each.format
        chosen = formats()[wanted] if wanted else sniff(head)
        if chosen is None:
            what = "is in no known log format" if head else "is empty"
            remedy = "Name its format with --input-format if it is a log" if head else ""
            report(Problem(each.path, "", what, remedy))
        return chosen

    def _lines(
        self, stream: BinaryIO, path: str, report: Report, counted: _Counted
    ) -> Iterator[tuple[list[EventBatch], int]]:
        reader = self.lines
        before = 0
        for batches in reader.read(stream, path, report):
            counted.events += reader.lines - before
            before = reader.lines
            yield batches, reader.lines
        counted.events += reader.lines - before
        yield [], reader.lines


def seekable(source: BinaryIO, stream: BinaryIO) -> AbstractContextManager[BinaryIO]:
    """A stream that can seek: the source itself where it can, else a copy in an unlinked file."""
    if source.seekable():
        source.seek(0)
        return _Kept(source)
    spool = tempfile.TemporaryFile()
    shutil.copyfileobj(stream, spool, 1 << 20)
    spool.seek(0)
    return cast(AbstractContextManager[BinaryIO], spool)


class _Kept(AbstractContextManager[BinaryIO]):
    """Leaves a stream to its owner to close."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __enter__(self) -> BinaryIO:
        return self._stream

    def __exit__(self, *_: object) -> None:
        return None


class _Counted(io.RawIOBase):
    """Counts the bytes read through it, and the events that its owner adds."""

    def __init__(self) -> None:
        super().__init__()
        self._stream: BinaryIO | None = None
        self._read = 0
        self.events = 0

    def watch(self, stream: BinaryIO) -> None:
        """Read from this stream."""
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size) if self._stream is not None else b""
        self._read += len(data)
        return data

    def take(self) -> int:
        """Bytes since the last call."""
        count, self._read = self._read, 0
        return count

    def take_events(self) -> int:
        """Events since the last call."""
        count, self.events = self.events, 0
        return count


class LineRange:
    """The lines that begin in the bytes [start, end) of a file."""

    def __init__(self, stream: BinaryIO, start: int, end: int) -> None:
        self._stream = stream
        self._left = end - start
        if start:
            stream.seek(start - 1)
            skipped = _skip_line(stream)
            self._left -= skipped - 1
        else:
            stream.seek(0)
        self._tail = False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, and at the end of the range the rest of its last line."""
        if self._left > 0:
            data = self._stream.read(min(size, self._left))
            self._left -= len(data)
            if not data:
                self._left = 0
            elif self._left <= 0 and not data.endswith(b"\n"):
                self._tail = True
            return data
        if self._tail:
            data = self._stream.readline(size)
            if not data or data.endswith(b"\n"):
                self._tail = False
            return data
        return b""


def _skip_line(stream: BinaryIO) -> int:
    """Read to the end of the line; the number of bytes read."""
    skipped = 0
    while data := stream.readline(1 << 20):
        skipped += len(data)
        if data.endswith(b"\n"):
            break
    return skipped


def _trouble(path: str, error: BaseException) -> Problem:
    if isinstance(error, KhienError):
        return Problem(error.where or path, "", error.what, error.remedy)
    if isinstance(error, OSError) and error.strerror:
        return Problem(path, "", f"cannot be read: {error.strerror}", "Check that it is still there and whole")
    text = " ".join(str(error).split()) or type(error).__name__
    return Problem(path, "", f"cannot be read on: {text[:200]}")
