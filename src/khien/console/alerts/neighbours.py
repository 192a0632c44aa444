"""Events of the lake around a finding: the same host, a few minutes before and after."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
import structlog
from django.conf import settings
from django.utils.translation import gettext as _

from khien.console.accounts.models import User
from khien.console.alerts.highlighting import leaves, printable, value_shown
from khien.console.alerts.models import Alert
from khien.console.systems.selectors import route
from khien.console.units.models import Unit
from khien.console.units.scoping import scope_ids
from khien.errors import KhienError
from khien.events.timestamps import parse_time
from khien.lake.query import Limits, query
from khien.lake.reading import literal
from khien.lake.store import Lake

MOST = 50
AROUND = timedelta(minutes=5)
_QUERY_SECONDS = 1.5
_ALL_SECONDS = 3.0
_MEMORY_MB = 256
_LONGEST = 300
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = (datetime(9000, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_COLUMNS = (
    "time",
    "logsource",
    "unit",
    "user",
    "process",
    "command_line",
    "src_ip",
    "dst_ip",
    "domain",
    "event_id",
    "event",
)
_T = TypeVar("_T")
_log = structlog.get_logger()
_pool = ThreadPoolExecutor(4, "lake")


class Unreadable(Exception):
    """The lake could not be read in time, or at all. The message is for people."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An event near a finding. `seconds`: from the finding, negative before it; `is_same`: it is the finding's own."""

    at: datetime
    seconds: float
    logsource: str
    summary: tuple[tuple[str, str], ...]
    fields: tuple[tuple[str, str], ...]
    is_same: bool


@dataclass(frozen=True, slots=True)
class Neighbours:
    """`host`, `at`: what was looked around; None where the finding names none. `reached`: there are perhaps more."""

    host: str
    at: datetime | None
    events: tuple[Neighbour, ...] = ()
    reached: bool = False


def neighbours(user: User, alert: Alert, record: dict[str, Any]) -> Neighbours:
    """The events nearest to a finding of an alert the person sees: of its host, and of units the person sees.

    Raises Unreadable when the lake does not answer within about a second.
    """
    host = str(record.get("host") or "")
    at = time_of(record)
    if not host or at is None:
        return Neighbours(host, None)
    micros = (at - _EPOCH) // timedelta(microseconds=1)
    condition = _visible(user, host)
    if condition is None:
        return Neighbours(host, at)
    around = int(AROUND.total_seconds() * 1_000_000)
    columns = ", ".join(f'"{name}"' for name in _COLUMNS[1:])
    moment = f"TIMESTAMPTZ {literal(at.isoformat())}"
    sql = (
        f"SELECT epoch_us(time) AS t, {columns} FROM events WHERE lower(host) = {literal(host.lower())}"  # noqa: S608
        f" AND time BETWEEN {moment} - INTERVAL 5 MINUTE AND {moment} + INTERVAL 5 MINUTE AND {condition}"
        f" ORDER BY abs(epoch_us(time) - {micros}) LIMIT {MOST}"
    )
    limits = Limits(_QUERY_SECONDS, _MEMORY_MB, MOST, micros - around, micros + around + 1)
    rows = in_time(lambda: rows_of(sql, limits), _ALL_SECONDS)
    event = record.get("event")
    found = sorted((_neighbour(row, micros, event) for row in rows), key=lambda each: each.at)
    return Neighbours(host, at, tuple(found), len(rows) >= MOST)


def time_of(record: dict[str, Any]) -> datetime | None:
    """When a finding's event happened; None where that is no time, or one that no clock of the province can show."""
    micros = parse_time(str(record.get("time") or ""))
    if micros is None or not 0 <= micros < _NEVER:
        return None
    return _EPOCH + timedelta(microseconds=micros)


def _visible(user: User, host: str) -> str | None:
    """SQL for the events of a host that a person sees, by the same way that alerts go to units; None: no event."""
    ids = scope_ids(user)
    if ids is None:
        return "TRUE"
    registered, _system = route([host], [], "")
    if registered is not None and registered in ids:
        return "TRUE"
    units = Unit.objects.filter(pk__in=ids).values_list("code", "name", "short_name")
    names = [name for unit in units for name in unit if name]
    if not names or registered is not None:
        return None
    return f"lower(unit) IN ({', '.join(literal(name.lower()) for name in names)})"


def has_lake() -> bool:
    """Whether there is a lake to ask; one in a bucket is taken to be there."""
    root = str(settings.LAKE)
    return root.startswith("s3://") or (Path(root) / "events" / "_delta_log").is_dir()


def rows_of(sql: str, limits: Limits) -> list[dict[str, Any]]:
    """The rows of a query of the lake. Raises KhienError."""
    lake = Lake(settings.LAKE, create=False)
    with query(lake, sql, limits) as reader:
        return [row for batch in reader for row in batch.to_pylist()]


def in_time(work: Callable[[], _T], seconds: float) -> _T:
    """The result of work on the lake, which belongs to a thread of its own. Raises Unreadable."""
    if not has_lake():
        raise Unreadable(_("There is no lake here: start the live service, or name its lake with KHIEN_LAKE."))
    running: Future[_T] = _pool.submit(work)
    try:
        return running.result(seconds)
    except FutureTimeout as error:
        running.cancel()
        raise Unreadable(_("The lake did not answer in time.")) from error
    except (KhienError, duckdb.Error, pa.ArrowException, OSError, ValueError, RuntimeError) as error:
        _log.warning("lake not read", error=str(error))
        if "took longer" in str(error):
            raise Unreadable(_("The lake did not answer in time.")) from error
        raise Unreadable(_("The lake could not be read.")) from error


def _neighbour(row: dict[str, Any], micros: int, event: object) -> Neighbour:
    at = _EPOCH + timedelta(microseconds=row["t"])
    summary = [(name, _text(row[name])) for name in _COLUMNS[2:-1] if row[name] not in (None, "", "-")]
    try:
        body = json.loads(row["event"] or "{}")
    except (ValueError, RecursionError):
        body = {}
    fields = _shortened(leaves(body, most=200)[0])
    return Neighbour(
        at,
        (row["t"] - micros) / 1e6,
        row["logsource"] or "",
        tuple(summary),
        fields,
        row["t"] == micros and body == event,
    )


def _shortened(found: list[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Names and texts, about 10,000 characters in all: fifty events have to fit on a page."""
    room = 10_000
    out = []
    for name, value in found:
        text = _text(value_shown(value), 1_000 if room > 0 else 60)
        room -= len(text)
        out.append((_text(name), text))
    return tuple(out)


def _text(value: object, most: int = _LONGEST) -> str:
    text = printable(str(value))
    return text if len(text) <= most else text[: most - 1] + "…"
