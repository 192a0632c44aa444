"""Pages of lists by keyset: each page says where the next begins, however many rows there are."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

import msgspec
from django.db.models import Q, QuerySet
from ninja import Query, Schema
from ninja.errors import HttpError
from pydantic import Field

from khien.console.api.shapes import Moment

MOST = 500


class PageQuery(Schema):
    """`after`: the `next` of the page before. With `updated_since` rows come in the order of their changes."""

    after: str = Field("", max_length=300)
    limit: int = Field(100, ge=1, le=MOST)
    updated_since: Moment | None = None


PageParameters = Query[PageQuery]


def page_of(rows: QuerySet[Any], wanted: PageQuery, *, changed: str = "updated_at") -> dict[str, Any]:
    """`{"items": [...], "next": "..." or null}`. In the order of ids, newest first, or of `changed`, oldest first.

    Raises HttpError 422 for a cursor that is not one of ours.
    """
    if wanted.updated_since is not None:
        rows = rows.filter(**{f"{changed}__gte": wanted.updated_since}).order_by(changed, "pk")
        if wanted.after:
            at, pk = _read(wanted.after, (str, int))
            moment = _moment(at)
            rows = rows.filter(Q(**{f"{changed}__gt": moment}) | Q(**{changed: moment, "pk__gt": pk}))
    else:
        rows = rows.order_by("-pk")
        if wanted.after:
            (pk,) = _read(wanted.after, (int,))
            rows = rows.filter(pk__lt=pk)
    found = list(rows[: wanted.limit + 1])
    following = None
    if len(found) > wanted.limit:
        found = found[: wanted.limit]
        last = found[-1]
        place = [getattr(last, changed).isoformat(), last.pk] if wanted.updated_since is not None else [last.pk]
        following = base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()
    return {"items": found, "next": following}


def _read(cursor: str, kinds: tuple[type, ...]) -> list[Any]:
    try:
        place = msgspec.json.decode(base64.b64decode(cursor.encode(), b"-_", validate=True), type=list)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        place = []
    if [type(each) for each in place] != list(kinds) or any(type(n) is int and abs(n) >= 2**63 for n in place):
        raise HttpError(422, "`after` is not the `next` of a page of this list")
    return place


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise HttpError(422, "`after` is not the `next` of a page of this list")
    return moment
