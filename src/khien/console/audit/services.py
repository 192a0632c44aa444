"""Writing the audit trail."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.utils import timezone

from khien.console.accounts.models import User
from khien.console.audit.middleware import origin
from khien.console.audit.models import Entry, Head

VIEWS_MERGE = timedelta(minutes=10)
_LARGE = 1e15
"""PostgreSQL gives larger floats back as integers, so they are kept as text."""


def hold_trail() -> None:
    """Hold the trail's end for the rest of the transaction, where the database locks rows.

    Whoever holds rows of things and will write into the trail calls it before the first of them: were some to hold a
    row and wait for the trail while others hold the trail and wait for that row, one of them would fail.
    """
    if connection.features.has_select_for_update:
        Head.objects.select_for_update().get_or_create(pk=1)


def record(
    by: User | None,
    action: str,
    target: models.Model | None = None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    actor_name: str = "",
) -> Entry:
    """Add an entry in the transaction of the change it tells of, so both are kept or neither.

    `action`: `thing.verb`, such as `incident.close`. `before`, `after`: the fields that changed, plain values.
    `actor_name`: for what no user does (a key, the service itself). Never put a secret in.
    """
    came = origin.get()
    with transaction.atomic():
        head = Head.objects.select_for_update().get_or_create(pk=1)[0]
        entry = Entry(
            number=head.number + 1,
            at=timezone.now(),
            actor=by,
            actor_name=_text(actor_name or (f"{by.name} <{by.email}>" if by else "khien"), 400),
            action=action,
            target_type=target._meta.label_lower if target is not None else "",
            target_id=str(target.pk) if target is not None else "",
            target_text=_text(str(target), 300) if target is not None else "",
            address=_text(came.address, 64),
            agent=_text(came.agent, 300),
            before=_plain(before),
            after=_plain(after),
            previous=head.digest,
        )
        entry.digest = digest(entry)
        entry.save(force_insert=True)
        head.number, head.digest = entry.number, entry.digest
        head.save()
    return entry


def record_view(by: User, target: models.Model) -> Entry | None:
    """Somebody looked at something sensitive; looks within ten minutes are one. None when that is recorded already."""
    kind = f"{target._meta.model_name}.view"
    recent = Entry.objects.of_target(target).filter(actor=by, action=kind, at__gt=timezone.now() - VIEWS_MERGE)
    if recent.exists():
        return None
    return record(by, kind, target)


def _plain(values: Mapping[str, Any] | None) -> Any:
    """As it comes back from either database, so the digest is of the same."""
    return None if values is None else _clean(json.loads(json.dumps(dict(values), cls=DjangoJSONEncoder, default=str)))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_text(key): _clean(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, float) and not abs(value) < _LARGE:
        return str(value)
    return value


def _text(value: str, most: int | None = None) -> str:
    """Without what a database cannot hold: NUL and halves of surrogate pairs."""
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:most]


def digest(entry: Entry) -> str:
    """SHA-256 over the entry's fields and the digest of the one before it."""
    body = [
        entry.number,
        entry.at.isoformat(timespec="microseconds"),
        entry.actor_id,
        entry.actor_name,
        entry.action,
        entry.target_type,
        entry.target_id,
        entry.target_text,
        entry.address,
        entry.agent,
        entry.before,
        entry.after,
        entry.previous,
    ]
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
