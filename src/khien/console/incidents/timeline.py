"""Writing the timeline."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import record
from khien.console.concurrency import locked
from khien.console.incidents.models import MAILS, WRITTEN, EntryKind, Incident, IncidentEntry, IncidentStatus

LONGEST = 20_000
_AHEAD = timedelta(minutes=5)
"""How far a clock may be ahead of ours before a time counts as in the future."""


def add_entry(
    by: User | None,
    incident: Incident,
    kind: str,
    text: str,
    at: datetime | None = None,
    data: Mapping[str, Any] | None = None,
    *,
    about: Incident | None = None,
) -> IncidentEntry:
    """Tell of something in the timeline, in the transaction in which it happened. For services, which have asked
    whether the person may; what people write themselves goes through `write_entry`.

    `text`: what was written; or with `data={"params": {...}}` a message id marked by `gettext_noop` with `%(name)s` for
    each, read in each reader's language. A parameter whose name ends in `_word` is a message id too; one that is
    `{"vi": ..., "en": ...}` is chosen by language. `about`: another incident that the text names; who may not see that
    one does not see the entry.
    """
    return IncidentEntry.objects.create(
        incident=incident,
        kind=EntryKind(kind),
        by=by,
        text=text,
        at=at or timezone.now(),
        data=dict(data or {}),
        about=about,
    )


def write_entry(
    by: User,
    incident_pk: int,
    *,
    kind: str,
    text: str,
    at: datetime | None = None,
    data: Mapping[str, Any] | None = None,
) -> IncidentEntry:
    """A note, an action or an event of the attack, written by hand; `at` may lie in the past."""
    demand(by, "incidents.work")
    if kind not in (*WRITTEN, *MAILS):
        raise ValidationError({"kind": _("Choose what kind of entry it is.")})
    _demand_text(text)
    demand_past(at, "at")
    with transaction.atomic():
        incident = unmerged(locked(Incident, incident_pk, None, by=by))
        entry = add_entry(by, incident, kind, text.strip(), at, data)
        incident.save(update_fields=["updated_at"])
        record(by, "incident.entry", incident, after={"entry": entry.pk, "kind": kind, "at": entry.at, "text": text})
    return entry


def mend_entry(by: User, pk: int, version: int, *, text: str, at: datetime) -> IncidentEntry:
    """Mend what was written; the earlier wording is kept. One's own; others' need `incidents.lead`."""
    demand(by, "incidents.work")
    _demand_text(text)
    demand_past(at, "at")
    with transaction.atomic():
        entry = locked(IncidentEntry, pk, version, by=by)
        if entry.by_id != by.pk:
            demand(by, "incidents.lead")
        if not entry.is_written:
            raise ValidationError(_("Only what people wrote can be mended."))
        before = {"text": entry.text, "at": entry.at.isoformat()}
        earlier = {**before, "until": timezone.now().isoformat(), "by": by.name}
        entry.data = {**entry.data, "earlier": [*entry.data.get("earlier", []), earlier]}
        entry.text, entry.at = text.strip(), at
        entry.version += 1
        entry.save()
        record(by, "incident.mend_entry", entry.incident, before=before, after={"text": text, "at": at})
    return entry


def record_mail(
    by: User,
    incident_pk: int,
    *,
    received: bool,
    sender: str,
    to: str,
    subject: str,
    text: str,
    at: datetime | None = None,
) -> IncidentEntry:
    """Keep a mail that was sent or received about the incident."""
    data = {"from": sender.strip()[:300], "to": to.strip()[:1000], "subject": subject.strip()[:300]}
    kind = EntryKind.MAIL_IN if received else EntryKind.MAIL_OUT
    return write_entry(by, incident_pk, kind=kind, text=text, at=at, data=data)


def unmerged(incident: Incident) -> Incident:
    """The incident itself; raises ValidationError when it was merged into another."""
    if incident.status == IncidentStatus.MERGED:
        raise ValidationError(_("This incident was merged into another; work on that one."))
    return incident


def working(incident: Incident) -> Incident:
    """The incident itself; raises ValidationError when it is closed or merged."""
    if unmerged(incident).status == IncidentStatus.CLOSED:
        raise ValidationError(_("This incident is closed; reopen it first."))
    return incident


def demand_past(at: datetime | None, field: str, now: datetime | None = None) -> None:
    """Raises ValidationError for a time that has not come yet."""
    if at is not None and at > (now or timezone.now()) + _AHEAD:
        raise ValidationError({field: _("This time lies in the future.")})


def _demand_text(text: str) -> None:
    if not text.strip():
        raise ValidationError({"text": _("Write something first.")})
    if len(text) > LONGEST:
        raise ValidationError({"text": _("This text is too long.")})
