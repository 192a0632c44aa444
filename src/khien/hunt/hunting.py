"""The whole hunt: parts to workers, findings to a sink, hits to correlations, in bounded memory."""

from __future__ import annotations

import gc
import multiprocessing
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from khien.engine.hit import CorrelationMatch, Hit
from khien.engine.spill import HitSorter
from khien.errors import Problem
from khien.formats.inputs import Input
from khien.formats.ndjson import is_lines
from khien.hunt.assembly import correlation_finding
from khien.hunt.plans import HuntPlan
from khien.hunt.transport import Bundle, pack, unpack
from khien.hunt.worker import Part, Progress, Worker

PART_BYTES = 24 << 20
"""Plain files of JSON lines are hunted in ranges of this size when there are several workers."""


class Sink(Protocol):
    """Takes findings as lines of NDJSON."""

    def write_line(self, line: bytes) -> None:
        """One finding, with its newline."""


class Keeper(Protocol):
    """Remembers how far a hunt has come, so that another can go on from there."""

    def hits(self) -> Iterable[Hit]:
        """The hits of inputs that were done before."""

    def keep(self, hits: Iterable[Hit]) -> None:
        """Hits of the input at work."""

    def done(self, path: str, tally: Tally) -> None:
        """All that came of an input has gone to the sink and to `keep`."""


@dataclass(slots=True)
class Tally:
    """What a hunt has come to so far. `read` in bytes, `seconds` of wall time."""

    files: int = 0
    read: int = 0
    events: int = 0
    findings: int = 0
    seconds: float = 0.0
    untimed_hits: int = 0
    problems: list[Problem] = field(default_factory=list)


Watch = Callable[[Tally], None]


class Hunt:
    """Runs a plan over inputs."""

    def __init__(
        self,
        plan: HuntPlan,
        sink: Sink,
        watch: Watch | None = None,
        *,
        keeper: Keeper | None = None,
        tally: Tally | None = None,
    ) -> None:
        self.plan = plan
        self.sink = sink
        self.tally = tally or Tally()
        self._keeper = keeper
        self._watch = watch or (lambda tally: None)
        self._hits = HitSorter()

    def run(self, inputs: Iterable[Input]) -> Tally:
        """Hunt through the inputs in order; findings come in the order of the inputs, correlations last."""
        started = time.perf_counter()
        for hit in self._keeper.hits() if self._keeper else ():
            self._hits.add(hit)
        gc.disable()
        try:
            if self.plan.options.jobs > 1:
                self._run_many(inputs)
            else:
                worker = Worker(self.plan)
                for each in inputs:
                    self.tally.files += 1
                    for progress in worker.hunt(Part(each)):
                        self._take(progress, each.before)
                    self._done(each)
            self._correlate()
        finally:
            gc.enable()
            self.tally.seconds += time.perf_counter() - started
            self._watch(self.tally)
        return self.tally

    def _take(self, progress: Progress, before: int) -> None:
        tally = self.tally
        for encoded in progress.findings:
            self.sink.write_line(encoded.line(before))
        hits = progress.hits
        if before:
            hits = [msgspec.structs.replace(hit, record=hit.record + before) for hit in hits]
        for hit in hits:
            self._hits.add(hit)
        if hits and self._keeper:
            self._keeper.keep(hits)
        tally.findings += len(progress.findings)
        tally.problems += [_shifted(problem, before) for problem in progress.problems]
        tally.events += progress.events
        tally.read += progress.read
        self._watch(tally)

    def _done(self, each: Input) -> None:
        if self._keeper:
            self._keeper.done(each.path, self.tally)

    def _correlate(self) -> None:
        if not self.plan.correlations:
            return
        by_id = {rule.id: rule for rule in self.plan.correlations}
        correlator = self.plan.correlator()

        def report(matches: Iterable[CorrelationMatch]) -> None:
            for match in matches:
                rule = by_id[match.correlation_id]
                if rule.id in self.plan.reported and rule.id not in self.plan.suppressed:
                    self.sink.write_line(msgspec.json.encode(correlation_finding(rule, match)) + b"\n")
                    self.tally.findings += 1

        for hit in self._hits:
            report(correlator.add(hit))
        report(correlator.flush())

    def _run_many(self, inputs: Iterable[Input]) -> None:
        jobs = self.plan.options.jobs
        context = multiprocessing.get_context("fork")
        parts = _parts(inputs, self.tally)
        waiting: deque[tuple[Part, Future[_Done]]] = deque()
        before: dict[str, int] = {}
        with (
            tempfile.TemporaryDirectory(prefix="khien-hunt-") as folder,
            ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(self.plan, folder)) as pool,
        ):
            for part in parts:
                if part.input.path.partition("!")[0] == "-":  # standard input belongs to this process
                    self._drain(waiting, before, 0)
                    for progress in Worker(self.plan).hunt(part):
                        self._take(progress, 0)
                    continue
                try:
                    waiting.append((part, pool.submit(_work, part)))
                except BrokenProcessPool:
                    self._lost(part)
                self._drain(waiting, before, jobs + 1)
            self._drain(waiting, before, 0)

    def _drain(self, waiting: deque[tuple[Part, Future[_Done]]], before: dict[str, int], most: int) -> None:
        """Take results in order until at most `most` are still out."""
        while len(waiting) > most:
            part, future = waiting.popleft()
            try:
                done = future.result()
            except BrokenProcessPool:
                self._lost(part)
                continue
            ranged = part.start is not None
            path = part.input.path
            lines = before.get(path, 0) if ranged else part.input.before
            done.progress.findings = list(unpack(done.findings))
            self._take(done.progress, lines)
            if ranged:
                before[path] = lines + done.progress.lines
            else:
                self._done(part.input)

    def _lost(self, part: Part) -> None:
        self.tally.problems.append(
            Problem(part.input.path, "", "the worker process that read it died", "Run again with --jobs 1")
        )


def _shifted(problem: Problem, before: int) -> Problem:
    """A problem of a part of a file, with its line counted from the beginning of the file."""
    word, _, number = problem.place.partition(" ")
    if not before or word != "line" or not number.isdecimal():
        return problem
    return replace(problem, place=f"line {int(number) + before}")


@dataclass(frozen=True, slots=True)
class _Done:
    """What came of a part in a worker process, with its findings apart."""

    progress: Progress
    findings: Bundle


_worker: Worker | None = None
_folder = ""


def _begin(plan: HuntPlan, folder: str) -> None:
    global _worker, _folder
    gc.disable()
    _worker, _folder = Worker(plan), folder


def _work(part: Part) -> _Done:
    assert _worker is not None
    merged = Progress()
    for progress in _worker.hunt(part):
        merged.findings += progress.findings
        merged.hits += progress.hits
        merged.problems += progress.problems
        merged.events += progress.events
        merged.read += progress.read
        merged.lines = progress.lines
    findings, merged.findings = pack(merged.findings, _folder), []
    return _Done(merged, findings)


def _parts(inputs: Iterable[Input], tally: Tally) -> Iterator[Part]:
    """Inputs as parts: large plain files of JSON lines in ranges, all else whole."""
    for each in inputs:
        tally.files += 1
        if each.splittable and each.size and each.size > PART_BYTES and _has_lines(each):
            for start in range(0, each.size, PART_BYTES):
                yield Part(each, start, min(start + PART_BYTES, each.size))
        else:
            yield Part(each)


def _has_lines(each: Input) -> bool:
    try:
        with each.open() as stream:
            head = stream.read(64 << 10)
    except OSError:
        return False
    return is_lines(head)
