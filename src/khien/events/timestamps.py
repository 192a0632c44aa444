"""The times that logs write, as microseconds since 1970-01-01 UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from khien.events.batch import MISSING, Event, EventKind, Value, read_path

_ISO = re.compile(
    r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?\s*(Z|z|UTC|[+-]\d\d:?\d\d)?\Z"
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_SYSLOG = re.compile(
    r"(?:[A-Z][a-z]{2},? )?([A-Za-z]{3})\s+(\d{1,2})\s+(?:(\d{4})\s+)?"
    r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:\s+(\d{4}))?\Z"
)
_AMERICAN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)? ?([AaPp])[Mm]\Z")
_WEB = re.compile(r"\[?(\d\d)/([A-Za-z]{3})/(\d{4}):(\d\d):(\d\d):(\d\d)\s*([+-]\d{4})?\]?\Z")
_NUMBER = re.compile(r"\d{9,19}(?:\.\d{1,9})?\Z")
_DOTNET = re.compile(r"/Date\((\d{9,16})\)/\Z")
_DAY = 86_400_000_000


def parse_time(value: Value, year: int | None = None) -> int | None:
    """Read a time; None when it is none.

    ISO 8601 and RFC 3339 (no zone means UTC), epoch seconds, milliseconds, microseconds and
    nanoseconds told by their size, syslog (`Jan  2 03:04:05`, with `year` or else the year that
    puts it nearest to now without lying ahead of tomorrow), C library (`Mon Jan  2 03:04:05 2026`), web
    server and American (`1/2/2026 3:04:05 PM`) times.
    """
    if isinstance(value, bool) or value is None or value is MISSING:
        return None
    if isinstance(value, int | float):
        return _epoch(value)
    if isinstance(value, list):
        return parse_time(value[0], year) if value else None
    if not isinstance(value, str) or len(value) > 64:
        return None
    moment = _parse_iso(value)
    if moment is not None:
        return moment
    text = value.strip()
    if text != value:
        return parse_time(text, year) if text else None
    if _NUMBER.match(text):
        return _epoch(float(text) if "." in text else int(text))
    if (web := _WEB.match(text)) and web[2].lower() in _MONTHS:
        offset = web[7] or "+0000"
        return _moment(
            int(web[3]),
            _MONTHS[web[2].lower()],
            int(web[1]),
            int(web[4]),
            int(web[5]),
            int(web[6]),
            0,
            offset,
        )
    if (old := _SYSLOG.match(text)) and old[1].lower() in _MONTHS:
        return _syslog(old, year)
    if american := _AMERICAN.match(text):
        return _american(american)
    if dotnet := _DOTNET.match(text):
        return _epoch(int(dotnet[1]))
    return None


@lru_cache(maxsize=4096)
def _parse_iso(text: str) -> int | None:
    found = _ISO.match(text)
    if found is None:
        return None
    fraction = found[7]
    micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
    zone = found[8]
    return _moment(
        int(found[1]),
        int(found[2]),
        int(found[3]),
        int(found[4]),
        int(found[5]),
        int(found[6] or 0),
        micros,
        zone if zone and zone[0] in "+-" else None,
    )


def _american(found: re.Match[str]) -> int | None:
    hour = int(found[4])
    if not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if found[8] in "Pp" else 0)
    micros = int((found[7] or "0")[:6].ljust(6, "0"))
    return _moment(int(found[3]), int(found[1]), int(found[2]), hour, int(found[5]), int(found[6] or 0), micros, None)


def _moment(
    year: int, month: int, day: int, hour: int, minute: int, second: int, micros: int, zone: str | None
) -> int | None:
    try:
        when = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    total = (when.toordinal() - 719_163) * _DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros
    if zone:
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        total += (-minutes if zone[0] == "+" else minutes) * 60_000_000
    return total


def _epoch(value: float) -> int | None:
    """Seconds to nanoseconds, told by size: from 2001 to 2286."""
    if not 1e8 <= value < 1e19:
        return None
    if value < 1e11:
        return round(value * 1_000_000)
    if value < 1e14:
        return round(value * 1_000)
    return int(value) if value < 1e17 else int(value) // 1_000


def _syslog(found: re.Match[str], year: int | None) -> int | None:
    written = found[3] or found[8]
    chosen = int(written) if written else year
    month = _MONTHS[found[1].lower()]
    micros = int((found[7] or "0").ljust(6, "0"))
    parts = (month, int(found[2]), int(found[4]), int(found[5]), int(found[6]), micros)
    if chosen is not None:
        return _moment(chosen, *parts, None)
    now = datetime.now(UTC)
    moment = _moment(now.year, *parts, None)
    ahead = int((now + timedelta(days=1)).timestamp() * 1_000_000)
    if moment is None or moment > ahead:
        return _moment(now.year - 1, *parts, None)
    return moment


def format_time(moment: int) -> str:
    """RFC 3339 in UTC with microseconds: `2026-11-24T01:02:03.000004Z`; "" outside the years 1 to 9999."""
    whole = _format_seconds(moment // 1_000_000)
    return f"{whole}.{moment % 1_000_000:06d}Z" if whole else ""


@lru_cache(maxsize=4096)
def _format_seconds(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    except (ValueError, OverflowError, OSError):
        return ""


def event_time(kind: EventKind, event: Event) -> int | None:
    """The time of an event: the first of its kind's time fields that holds one."""
    for name in kind.time:
        moment = parse_time(read_path(event, name))
        if moment is not None:
            return moment
    return None
