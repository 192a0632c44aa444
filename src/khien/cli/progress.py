"""Live progress lines, on standard error where that is a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from khien.formats.inputs import Input
from khien.hunt.hunting import Tally, Watch


@contextmanager
def hunting(inputs: Sequence[Input], before: Tally | None = None) -> Iterator[Watch]:
    """A function to call with the tally so far; it draws at most ten times a second.

    `before`: what was done before these inputs, in a hunt that is gone on with.
    Without the size of every input (standard input has none) the bar only moves, and no time left is told.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda tally: None
        return
    sizes = [each.size for each in inputs]
    read, events = (before.read, before.events) if before else (0, 0)
    total = read + sum(size for size in sizes if size is not None) if None not in sizes else None
    columns = (
        TextColumn("hunting"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rate]:,} events/s"),
        TextColumn("{task.fields[findings]:,} findings"),
        TimeRemainingColumn(),
        TextColumn("left" if total is not None else ""),
    )
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("hunt", total=total, rate=0, findings=0)
        started = last = time.monotonic()

        def watch(tally: Tally) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last < 0.1:
                return
            last = now
            rate = int((tally.events - events) / max(now - started, 0.001))
            progress.update(task, completed=tally.read, rate=rate, findings=tally.findings, refresh=True)

        yield watch


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with how many are done, and how many there are; it draws at most ten times a second."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, of: None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("left"))
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        task = progress.add_task(what, total=None)
        last = 0.0

        def watch(done: int, of: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= 0.1:
                last = now
                progress.update(task, completed=done, total=of, refresh=True)

        yield watch
