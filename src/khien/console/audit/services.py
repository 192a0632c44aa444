"""Writing the audit trail."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.utils import timezone

from khien.console.accounts.models import User
from khien.console.audit.middleware import origin
from khien.console.audit.models import Entry, Head


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
            actor_name=actor_name or (f"{by.name} <{by.email}>" if by else "khien"),
            action=action,
            target_type=target._meta.label_lower if target is not None else "",
            target_id=str(target.pk) if target is not None else "",
            target_text=str(target)[:300] if target is not None else "",
            address=came.address,
            agent=came.agent,
            before=_plain(before),
            after=_plain(after),
            previous=head.digest,
        )
        entry.digest = digest(entry)
        entry.save(force_insert=True)
        head.number, head.digest = entry.number, entry.digest
        head.save()
    return entry


def _plain(values: Mapping[str, Any] | None) -> Any:
    """As it comes back from the database, so the digest is of the same."""
    return None if values is None else json.loads(json.dumps(dict(values), cls=DjangoJSONEncoder, default=str))


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
