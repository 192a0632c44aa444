"""Times and zones as options give them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from khien.errors import UsageError
from khien.lake.search_language import parse


def known_zone(name: str) -> ZoneInfo:
    """The time zone of this name. Raises UsageError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"there is no time zone '{name}'", remedy="Write e.g. Asia/Ho_Chi_Minh or UTC") from error


def bound(option: str, text: str | None, zone: ZoneInfo) -> int | None:
    """The moment of `since` or `until` as searches write it, in microseconds since 1970 UTC. Raises SearchError."""
    if text is None:
        return None
    found = parse(f'{option}:"{text}"', datetime.now(UTC), zone)
    return found.since if option == "since" else found.until
