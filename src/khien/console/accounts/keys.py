"""API keys: `khien_<id>_<secret>`. The secret is shown once; kept is its digest."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from khien.console.accounts.access import demand
from khien.console.accounts.models import ApiKey, User, digest
from khien.console.audit.middleware import origin
from khien.console.audit.services import hold_trail, record

PREFIX = "khien_"
LONGEST = timedelta(days=366)
_USE_WRITTEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a key may be given. `capability`: what its owner's role must have, then and at every use.

    It is what the least of the scope's operations asks for: each of them asks for its own besides.
    """

    label: Promise
    capability: str


SCOPES: dict[str, Scope] = {
    "alerts:read": Scope(gettext_lazy("Read alerts"), "alerts.view"),
    "alerts:write": Scope(gettext_lazy("Work on alerts"), "alerts.view"),
    "incidents:read": Scope(gettext_lazy("Read incidents"), "incidents.view"),
    "incidents:write": Scope(gettext_lazy("Work on incidents"), "incidents.work"),
    "directives:read": Scope(gettext_lazy("Read sessions and directives"), "directives.view"),
    "directives:write": Scope(gettext_lazy("Prepare sessions, draft and issue directives"), "sessions.prepare"),
    "tasks:read": Scope(gettext_lazy("Read tasks"), "work"),
    "tasks:write": Scope(gettext_lazy("Work on tasks"), "tasks.work"),
    "units:read": Scope(gettext_lazy("Read units"), "units.view"),
    "systems:read": Scope(gettext_lazy("Read systems"), "systems.view"),
    "systems:write": Scope(gettext_lazy("Change systems"), "systems.manage"),
}


def scopes_for(user: User) -> list[tuple[str, Promise]]:
    """What a person may give a key."""
    return [(name, scope.label) for name, scope in SCOPES.items() if user.may(scope.capability)]


def create_key(by: User, name: str, scopes: Iterable[str], expires_at: datetime) -> tuple[ApiKey, str]:
    """A key of one's own, and its secret, which is never to be had again. Raises ValidationError."""
    demand(by, "work")
    chosen = [scope for scope in SCOPES if scope in set(scopes)]
    allowed = {scope for scope, _label in scopes_for(by)}
    if not chosen or not set(chosen) <= allowed:
        raise ValidationError({"scopes": _("Choose at least one scope that your role has.")})
    now = timezone.now()
    if not now < expires_at <= now + LONGEST:
        raise ValidationError({"expires_at": _("A key expires within a year, and not before today.")})
    public_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    with transaction.atomic():
        key = ApiKey.objects.create(
            public_id=public_id, digest=digest(secret), name=name, owner=by, scopes=chosen, expires_at=expires_at
        )
        record(by, "key.create", key, after={"name": name, "scopes": chosen, "expires_at": expires_at})
    return key, f"{PREFIX}{public_id}_{secret}"


def revoke_key(by: User, key: ApiKey) -> None:
    """A key opens nothing any more: one's own, or with `users.manage` that of somebody one sees."""
    if key.owner_id != by.pk:
        demand(by, "users.manage")
    with transaction.atomic():
        hold_trail()
        held = ApiKey.objects.visible_to(by).select_for_update(of=("self",)).get(pk=key.pk)
        if held.revoked_at is None:
            held.revoked_at = timezone.now()
            held.save(update_fields=["revoked_at"])
            record(by, "key.revoke", held, before={"scopes": held.scopes, "expires_at": held.expires_at})


def revoke_all(by: User, owner: User) -> int:
    """All keys of a person who leaves; how many."""
    alive = list(ApiKey.objects.filter(owner=owner, revoked_at=None).select_related("owner"))
    for key in alive:
        revoke_key(by, key)
    return len(alive)


def authenticate(secret: str) -> ApiKey | None:
    """The key of a secret, with its owner; None for a wrong, revoked or expired one, or one whose owner is inactive."""
    public_id, _underscore, rest = secret.removeprefix(PREFIX).partition("_")
    if not secret.startswith(PREFIX) or not rest or len(secret) > 200:
        return None
    found = ApiKey.objects.filter(public_id=public_id).select_related("owner__unit__kind").first()
    expected = found.digest if found else "0" * 64
    if not hmac.compare_digest(expected, digest(rest)) or found is None:
        return None
    now = timezone.now()
    if found.revoked_at or found.expires_at <= now or not found.owner.is_active:
        return None
    if found.used_at is None or now - found.used_at > _USE_WRITTEN_EVERY:
        ApiKey.objects.filter(pk=found.pk).update(used_at=now, used_from=origin.get().address[:64])
        found.used_at = now
    return found
