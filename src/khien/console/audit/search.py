"""Looking through the trail: fast by its indexes at millions of entries, and a text is looked for slice by slice."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.dateparse import parse_date

from khien.console.accounts.models import User
from khien.console.accounts.selectors import matching
from khien.console.audit.models import Entry, EntryQuerySet

PAGE = 50
SLICE = 50_000
"""So many numbers one request looks through for a text; the next request goes on from there."""
_PEOPLE = 50
FILTERS = ("who", "action", "thing", "since", "until", "address", "text")


@dataclass(frozen=True, slots=True)
class Found:
    """A page of entries, the latest first. `older`, `newer`: numbers to go on from, as `before` and `after`.

    `searched_to`: where looking for a text stopped before the page was full, and there is more to look through.
    """

    entries: list[Entry]
    older: int | None
    newer: int | None
    searched_to: Entry | None


def entries(user: User, given: dict[str, str]) -> EntryQuerySet:
    """The entries that a person may read, by all filters but the text. Unknown values find nothing."""
    found: EntryQuerySet = Entry.objects.readable_by(user)
    if given.get("who"):
        people = matching(User.objects.visible_to(user), given["who"]).values_list("pk", flat=True)[:_PEOPLE]
        found = found.filter(actor_id__in=list(people))
    if given.get("action"):
        found = found.filter(action=given["action"])
    if given.get("thing"):
        kind, _colon, key = given["thing"].partition(":")
        found = found.filter(target_type=kind, target_id=key)
    if given.get("address"):
        found = found.filter(address=given["address"].strip())
    since, until = _day(given.get("since")), _day(given.get("until"))
    if since:
        first = Entry.objects.filter(at__gte=since).order_by("at", "number").values_list("number", flat=True).first()
        found = found.filter(number__gte=first, at__gte=since) if first else found.none()
    if until:
        end = until + timedelta(days=1)
        last = Entry.objects.filter(at__lt=end).order_by("-at", "-number").values_list("number", flat=True).first()
        found = found.filter(number__lte=last, at__lt=end) if last else found.none()
    return found


def page(user: User, given: dict[str, str], *, before: int | None = None, after: int | None = None) -> Found:
    """One page; `before` and `after` are numbers of entries at its border."""
    found = entries(user, given)
    text = given.get("text", "").strip()
    if after is not None:
        rows = list(_texts(found.filter(number__gt=after), text).order_by("number")[: PAGE + 1])
        newer = rows[PAGE - 1].number if len(rows) > PAGE else None
        rows = rows[:PAGE][::-1]
        return Found(rows, rows[-1].number if rows else after + 1, newer, None)
    if before is not None:
        found = found.filter(number__lt=before)
    if text:
        return _slice(found, text, before)
    rows = list(found.order_by("-number")[: PAGE + 1])
    newer = rows[0].number if before is not None and rows else None
    return Found(rows[:PAGE], rows[PAGE - 1].number if len(rows) > PAGE else None, newer, None)


def _slice(found: EntryQuerySet, text: str, before: int | None) -> Found:
    top = found.order_by("-number").values_list("number", flat=True).first()
    if top is None:
        return Found([], None, None, None)
    floor = top - SLICE
    rows = list(_texts(found.filter(number__gt=floor), text).order_by("-number")[: PAGE + 1])
    newer = rows[0].number if before is not None and rows else None
    if len(rows) > PAGE:
        return Found(rows[:PAGE], rows[PAGE - 1].number, newer, None)
    rest = found.filter(number__lte=floor).order_by("-number").first()
    return Found(rows, rest.number + 1 if rest else None, newer, rest)


def latest_first(user: User, given: dict[str, str]) -> EntryQuerySet:
    """All entries that match, the latest first."""
    return _texts(entries(user, given), given.get("text", "").strip()).order_by("-number")


def walk(user: User, given: dict[str, str]) -> Iterator[Entry]:
    """The same, a few at a time."""
    return latest_first(user, given).iterator(chunk_size=2000)


def _texts(found: EntryQuerySet, text: str) -> EntryQuerySet:
    if not text:
        return found
    found = found.annotate(before_text=Cast("before", models.TextField()), after_text=Cast("after", models.TextField()))
    for word in unicodedata.normalize("NFC", text).split()[:6]:
        either = Q(actor_name__icontains=word) | Q(target_text__icontains=word) | Q(action__icontains=word)
        for form in {word, word.lower(), word.capitalize(), word.upper()}:  # SQLite folds the case of ASCII only
            escaped = json.dumps(form)[1:-1]  # how SQLite holds what is not ASCII
            either |= Q(actor_name__contains=form) | Q(target_text__contains=form)
            for kept in {form, escaped}:
                either |= Q(before_text__icontains=kept) | Q(after_text__icontains=kept)
        found = found.filter(either)
    return found


def _day(text: str | None) -> datetime | None:
    try:
        day: date | None = parse_date(text or "")
    except ValueError:
        return None
    return timezone.make_aware(datetime.combine(day, time.min)) if day else None


def as_json(entry: Entry) -> dict[str, Any]:
    """An entry as a line of NDJSON, with what the chain is checked by."""
    return {
        "number": entry.number,
        "at": entry.at.isoformat(),
        "actor": entry.actor_id,
        "actor_name": entry.actor_name,
        "action": entry.action,
        "target_type": entry.target_type,
        "target_id": entry.target_id,
        "target_text": entry.target_text,
        "address": entry.address,
        "agent": entry.agent,
        "before": entry.before,
        "after": entry.after,
        "previous": entry.previous,
        "digest": entry.digest,
    }
