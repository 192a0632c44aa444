"""How much a source may send, and how many connections stand open."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable

from khien.collect.settings import Source

BURST_SECONDS = 2.0
"""A source that was quiet may send this much of its rate at once."""


class Bucket:
    """A rate: tokens come back steadily, a batch is let in while any are left, and may run up a debt.

    So a batch larger than the whole bucket still passes, and the mean over time is the rate.
    """

    __slots__ = ("_clock", "_left", "_rate", "_since")

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._left = rate * BURST_SECONDS
        self._since = clock()

    def wait(self) -> float:
        """Seconds until the next batch is let in; 0 when it is now. A rate of 0 lets all in."""
        if not self._rate:
            return 0.0
        now = self._clock()
        self._left = min(self._rate * BURST_SECONDS, self._left + (now - self._since) * self._rate)
        self._since = now
        return max(0.0, -self._left / self._rate) if self._left <= 0 else 0.0

    def take(self, size: float) -> None:
        """Count a batch that was let in."""
        self._left -= size


class SourceRate:
    """The two rates of a source together: events and bytes a second."""

    def __init__(self, source: Source, clock: Callable[[], float] = time.monotonic) -> None:
        self._events = Bucket(source.events_per_second, clock)
        self._bytes = Bucket(source.bytes_per_second, clock)

    def retry_after(self) -> int:
        """Whole seconds a sender should wait (at least 1); 0 when it may send now."""
        wait = max(self._events.wait(), self._bytes.wait())
        return math.ceil(wait) if wait > 0 else 0

    def take(self, events: int, size: int) -> None:
        """Count what was let in."""
        self._events.take(events)
        self._bytes.take(size)


class Places:
    """Counts what stands open by name, up to a limit for each."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def enter(self, name: str, limit: int) -> bool:
        """Take a place; False when all `limit` are taken."""
        if self._taken[name] >= limit:
            return False
        self._taken[name] += 1
        return True

    def leave(self, name: str) -> None:
        """Give a place back."""
        self._taken[name] -= 1
        if self._taken[name] <= 0:
            del self._taken[name]
