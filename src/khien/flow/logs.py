"""Structured logs: one JSON object a line on standard error. No event content and no secret goes in."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TextIO, cast

import structlog

from khien.collect.spool import LaneReader

_log = structlog.get_logger()


class _Standing:
    """A stream on which writing never fails: a log on a full disk must not stop those who tell of it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or not."""
        with contextlib.suppress(OSError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        """Flush, or not."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def set_up_logs(process: str) -> None:
    """Configure structlog for a process; every line bears its name."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Standing(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


def log_damage(reader: LaneReader) -> None:
    """Say what damage of the spool a reader has passed over since the last time."""
    for problem in reader.problems:
        _log.error("spool damaged", problem=str(problem))
    reader.problems.clear()
