"""Evidence: added, looked at, checked, handed over, moved and withdrawn; each step in the chain of custody.

Files are never unpacked, shown or run here; they leave as an encrypted archive (`evidence_package`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.middleware import origin
from khien.console.audit.services import record
from khien.console.concurrency import locked
from khien.console.files import services as files
from khien.console.files.models import StoredFile
from khien.console.incidents import people
from khien.console.incidents.models import Custody, EntryKind, Evidence, Handling, Incident
from khien.console.incidents.timeline import add_entry, demand_past, unmerged

MOST_FILES = 20
MOST_BYTES = files.MOST_BYTES
VIEWS_APART = timedelta(minutes=10)
"""Views by one person closer together than this are one view."""
ADDED = gettext_noop("Evidence %(label)s added: %(name)s")
HANDED = gettext_noop("Evidence %(label)s handed over to %(to)s")
GONE = gettext_noop("Evidence %(label)s withdrawn: %(reason)s")
BROKEN = gettext_noop("Evidence %(label)s is no longer what was uploaded: its SHA-256 differs")
BROKEN_NOTICE = gettext_noop("Evidence %(label)s of incident %(number)s is damaged: its SHA-256 differs")


@dataclass(frozen=True, slots=True)
class Added:
    """What was added, and other evidence the person sees that has the same content."""

    evidence: Evidence
    twins: list[Evidence]


def add_evidence(
    by: User,
    incident_pk: int,
    uploads: Sequence[UploadedFile],
    *,
    description: str,
    collected_at: datetime,
    collected_where: str,
    collected_by: str,
) -> list[Added]:
    """Keep uploads as evidence of an incident. Needs `incidents.work`. Raises ValidationError; then none is kept.

    The bytes are hashed and written before the incident is held, so that a gigabyte holds up nobody; they get their
    place once it is.
    """
    demand(by, "incidents.work")
    unmerged(Incident.objects.visible_to(by).get(pk=incident_pk))
    if not uploads:
        raise ValidationError({"files": _("Choose at least one file.")})
    if len(uploads) > MOST_FILES:
        raise ValidationError({"files": _("Upload at most %(most)s files at once.") % {"most": MOST_FILES}})
    demand_past(collected_at, "collected_at")
    _demand_words(description=description, collected_where=collected_where)
    with files.received(uploads) as arrived, transaction.atomic():
        incident = unmerged(locked(Incident, incident_pk, None, by=by))
        number = _last_number(incident)
        added = []
        for offset, upload in enumerate(arrived, 1):
            each = files.keep(upload, by)
            evidence = Evidence.objects.create(
                incident=incident,
                number=number + offset,
                file=each,
                description=description.strip(),
                collected_at=collected_at,
                collected_where=collected_where.strip()[:300],
                collected_by=(collected_by.strip() or by.name)[:200],
                added_by=by,
            )
            _hold(by, evidence, Handling.UPLOADED, reason=evidence.description[:500])
            add_entry(
                by, incident, EntryKind.EVIDENCE, ADDED, data={"params": {"label": evidence.label, "name": each.name}}
            )
            record(by, "evidence.add", evidence, after=_told(evidence))
            added.append(evidence)
        incident.save(update_fields=["updated_at"])
    return [Added(each, twins_of(by, each)) for each in added]


def twins_of(by: User, evidence: Evidence) -> list[Evidence]:
    """Other evidence with the same content that the person may see."""
    same = Evidence.objects.visible_to(by).filter(file__sha256=evidence.file.sha256).exclude(pk=evidence.pk)
    return list(same.select_related("file", "incident").order_by("pk")[:10])


def view_evidence(by: User, evidence: Evidence, now: datetime | None = None) -> None:
    """Keep that a person looked at a piece of evidence. Needs `incidents.view`."""
    demand(by, "incidents.view")
    now = now or timezone.now()
    with transaction.atomic():
        if evidence.custody.filter(by=by, kind=Handling.VIEWED, at__gt=now - VIEWS_APART).exists():
            return
        _hold(by, evidence, Handling.VIEWED, at=now)
        record(by, "evidence.view", evidence)


def verify_evidence(by: User, pk: int) -> bool:
    """Hash the bytes again and keep what came of it. Needs `incidents.work`. False: they are not what was uploaded."""
    demand(by, "incidents.work")
    evidence = Evidence.objects.visible_to(by).select_related("file", "incident").get(pk=pk)
    intact = files.is_intact(evidence.file)
    with transaction.atomic():
        _hold(by, evidence, Handling.VERIFIED, intact=intact)
        record(by, "evidence.verify", evidence, after={"sha256": evidence.file.sha256, "intact": intact})
        if not intact:
            incident = evidence.incident
            add_entry(by, incident, EntryKind.EVIDENCE, BROKEN, data={"params": {"label": evidence.label}})
            told = people.workers(incident)
            people.tell(incident, told, "evidence.broken", BROKEN_NOTICE, urgent=True, label=evidence.label)
    return intact


def hand_over(by: User, pk: int, *, to: str, reason: str) -> Custody:
    """Keep that the evidence was given to somebody, and why. Needs `incidents.work`."""
    demand(by, "incidents.work")
    _demand_words(to=to, reason=reason)
    with transaction.atomic():
        evidence = _held(by, pk, None)
        entry = _hold(by, evidence, Handling.HANDED_OVER, reason=reason, to=to)
        params = {"label": evidence.label, "to": entry.to}
        add_entry(by, evidence.incident, EntryKind.EVIDENCE, HANDED, data={"params": params})
        record(by, "evidence.hand_over", evidence, after={"to": entry.to, "reason": entry.reason})
    return entry


def withdraw_evidence(by: User, pk: int, version: int, *, reason: str) -> Evidence:
    """Say that it no longer counts, and why; it is kept all the same. One's own; others' need `incidents.lead`."""
    demand(by, "incidents.work")
    _demand_words(reason=reason)
    with transaction.atomic():
        evidence = _held(by, pk, version)
        if evidence.added_by_id != by.pk:
            demand(by, "incidents.lead")
        if evidence.withdrawn_at:
            raise ValidationError(_("This evidence was withdrawn already."))
        evidence.withdrawn_at, evidence.withdrawn_by = timezone.now(), by
        evidence.withdrawn_reason = reason.strip()[:500]
        evidence.version += 1
        evidence.save(update_fields=["withdrawn_at", "withdrawn_by", "withdrawn_reason", "version"])
        _hold(by, evidence, Handling.WITHDRAWN, reason=reason)
        params = {"label": evidence.label, "reason": evidence.withdrawn_reason}
        add_entry(by, evidence.incident, EntryKind.EVIDENCE, GONE, data={"params": params})
        record(by, "evidence.withdraw", evidence, after={"reason": evidence.withdrawn_reason})
    return evidence


def move_evidence(by: User, source: Incident, target: Incident) -> None:
    """Give all evidence of one incident to another, numbered after what is there. In the merge's transaction."""
    number = _last_number(target)
    for offset, evidence in enumerate(source.evidence.order_by("number"), 1):
        was = f"{source.number} {evidence.label}"
        evidence.incident, evidence.number = target, number + offset
        evidence.version += 1
        evidence.save(update_fields=["incident", "number", "version"])
        _hold(by, evidence, Handling.MOVED, reason=was)
        record(by, "evidence.move", evidence, before={"was": was}, after={"is": f"{target.number} {evidence.label}"})


def keep_download(by: User, pieces: Iterable[Evidence], reason: str) -> None:
    """Keep that evidence left as an archive. Needs `incidents.work`. In the caller's transaction."""
    demand(by, "incidents.work")
    for evidence in pieces:
        _hold(by, evidence, Handling.DOWNLOADED, reason=reason)
        record(by, "evidence.download", evidence, after={"sha256": evidence.file.sha256, "reason": reason})


def _held(by: User, pk: int, version: int | None) -> Evidence:
    return locked(Evidence, pk, version, by=by)


def _last_number(incident: Incident) -> int:
    return int(Evidence.objects.filter(incident=incident).aggregate(last=Max("number"))["last"] or 0)


def _hold(
    by: User,
    evidence: Evidence,
    kind: Handling,
    *,
    at: datetime | None = None,
    reason: str = "",
    to: str = "",
    intact: bool | None = None,
) -> Custody:
    return Custody.objects.create(
        evidence=evidence,
        by=by,
        kind=kind,
        at=at or timezone.now(),
        reason=reason.strip()[:500],
        to=to.strip()[:300],
        intact=intact,
        address=origin.get().address[:64],
    )


def _demand_words(**given: str) -> None:
    missing = {
        name: _("Write this down: it belongs to the chain of custody.") for name in given if not given[name].strip()
    }
    if missing:
        raise ValidationError(missing)


def _told(evidence: Evidence) -> dict[str, object]:
    stored: StoredFile = evidence.file
    return {
        "incident": evidence.incident.number,
        "label": evidence.label,
        "name": stored.name,
        "size": stored.size,
        "sha256": stored.sha256,
        "description": evidence.description,
        "collected_at": evidence.collected_at,
        "collected_where": evidence.collected_where,
        "collected_by": evidence.collected_by,
    }
