"""The words for the fields that entries tell of: a model's own, and those that stand in the audit trail alone."""

from __future__ import annotations

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field
from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy

FIELDS: dict[str, Promise] = {
    "address": pgettext_lazy("field", "address"),
    "addressees": pgettext_lazy("field", "addressees"),
    "agent": pgettext_lazy("field", "program"),
    "alerts": pgettext_lazy("field", "alerts"),
    "at": pgettext_lazy("field", "time"),
    "basis": pgettext_lazy("field", "basis"),
    "bytes": pgettext_lazy("field", "size in bytes"),
    "clock": pgettext_lazy("field", "legal deadline"),
    "closed_at": pgettext_lazy("field", "closed at"),
    "count": pgettext_lazy("field", "how many"),
    "due_at": pgettext_lazy("field", "due"),
    "email": pgettext_lazy("field", "e-mail"),
    "ended_at": pgettext_lazy("field", "ended at"),
    "entry": pgettext_lazy("field", "timeline entry"),
    "error": pgettext_lazy("field", "error"),
    "events": pgettext_lazy("field", "events"),
    "expires_at": pgettext_lazy("field", "expires"),
    "file": pgettext_lazy("field", "file"),
    "files": pgettext_lazy("field", "files"),
    "format": pgettext_lazy("field", "format"),
    "how": pgettext_lazy("field", "way"),
    "ids": pgettext_lazy("field", "numbers"),
    "importer": pgettext_lazy("field", "what is imported"),
    "incident": pgettext_lazy("field", "incident"),
    "indicators": pgettext_lazy("field", "indicators"),
    "intact": pgettext_lazy("field", "intact"),
    "is_active": pgettext_lazy("field", "active"),
    "keys_revoked": pgettext_lazy("field", "keys revoked"),
    "kind": pgettext_lazy("field", "kind"),
    "leader": pgettext_lazy("field", "leader"),
    "level": pgettext_lazy("field", "level"),
    "name": pgettext_lazy("field", "name"),
    "number": pgettext_lazy("field", "number"),
    "owner": pgettext_lazy("field", "owner"),
    "playbook": pgettext_lazy("field", "playbook"),
    "query": pgettext_lazy("field", "filter"),
    "reason": pgettext_lazy("field", "reason"),
    "recipient": pgettext_lazy("field", "recipient"),
    "replaces": pgettext_lazy("field", "replaces"),
    "report": pgettext_lazy("field", "report"),
    "role": pgettext_lazy("field", "role"),
    "rule": pgettext_lazy("field", "rule"),
    "ruleset": pgettext_lazy("field", "rule set"),
    "scopes": pgettext_lazy("field", "scopes"),
    "sessions_ended": pgettext_lazy("field", "sessions ended"),
    "sha256": pgettext_lazy("field", "SHA-256"),
    "size": pgettext_lazy("field", "size in bytes"),
    "state": pgettext_lazy("field", "state"),
    "status": pgettext_lazy("field", "state"),
    "systems": pgettext_lazy("field", "systems"),
    "tasks": pgettext_lazy("field", "tasks"),
    "text": pgettext_lazy("field", "text"),
    "times": pgettext_lazy("field", "how often"),
    "title": pgettext_lazy("field", "title"),
    "tlp": pgettext_lazy("field", "TLP"),
    "to": pgettext_lazy("field", "to"),
    "types": pgettext_lazy("field", "kinds"),
    "undone": pgettext_lazy("field", "undone"),
    "unit": pgettext_lazy("field", "unit"),
    "units": pgettext_lazy("field", "units"),
    "until": pgettext_lazy("field", "until"),
    "url": pgettext_lazy("field", "web address"),
    "user": pgettext_lazy("field", "person"),
    "version": pgettext_lazy("field", "version"),
    "wanted_due_at": pgettext_lazy("field", "due time asked for"),
    "was": pgettext_lazy("field", "before"),
    "what": pgettext_lazy("field", "what"),
    "why": pgettext_lazy("field", "reason"),
}


def field_label(target_type: str, name: str) -> str:
    """A field of an entry about a thing in words; as it is written where there are none."""
    return str(_of_the_model(target_type, name) or FIELDS.get(name, name))


def _of_the_model(target_type: str, name: str) -> Promise | None:
    """The words that a model gives its field; None where it gives none, or has no such field."""
    try:
        field = apps.get_model(target_type)._meta.get_field(name) if target_type else None
    except (LookupError, ValueError, FieldDoesNotExist):
        return None
    if not isinstance(field, Field) or not isinstance(field.verbose_name, Promise):
        return None
    return field.verbose_name
