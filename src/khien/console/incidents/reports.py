"""Reports to the authorities: composed from what is known of an incident and what the form adds. Always Vietnamese."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from django.db import models, transaction
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import record
from khien.console.exports.documents import Exported, rendered
from khien.console.exports.progress import permitted
from khien.console.incidents import selectors
from khien.console.incidents.exports_document import defanged
from khien.console.incidents.models import EntryKind, Incident
from khien.console.systems.models import InformationSystem
from khien.documents.document import Document, Signature
from khien.documents.incident_reports import AffectedSystem, ClosingReport, FirstNotice, closing_report, first_notice
from khien.documents.office import Office

MOST_LINES = 200
"""Lines of the timeline that a closing report carries."""


class ReportKind(models.TextChoices):
    """Which report."""

    FIRST = "first", _("First notice of an incident")
    PERSONAL_DATA = "personal_data", _("Notice of a breach of personal data")
    CLOSING = "closing", _("Closing report")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """What the form adds. `number`: None leaves room for it; `confidential`, `handled`: None where not known."""

    kind: str
    addressees: Sequence[str]
    issuer: str
    parent: str = ""
    sign: str = ""
    place: str = ""
    number: int | None = None
    day: date | None = None
    signer: str = ""
    position: str = ""
    reporter: str = ""
    contact: str = ""
    description: str = ""
    how_detected: str = ""
    handled: bool | None = None
    measures: str = ""
    already_told: str = ""
    confidential: bool | None = None
    support_wanted: str = ""
    providers: str = ""
    os_version: str = ""
    services: str = ""
    safeguards: str = ""
    purpose: str = ""


def report_incident(by: User, pk: int, facts: ReportFacts, kind: str) -> Exported:
    """The report as `docx` or `pdf`, to be signed and sent. Needs `incidents.work`.

    Raises Incident.DoesNotExist, PdfError, and TakesLong where the worker has to make it.
    """
    demand(by, "incidents.work")
    incident = Incident.objects.visible_to(by).select_related("unit").get(pk=pk)
    permitted()
    with translation.override("vi"):
        document = report_document(by, incident, facts)
    title = f"{incident.number} {ReportKind(facts.kind).label}.{kind}"
    body = rendered(document, kind, title, reverse("incidents:report", args=[pk]))
    with transaction.atomic():
        record(
            by,
            "incident.compose_report",
            incident,
            after={"report": facts.kind, "format": kind, "addressees": list(facts.addressees), "number": facts.number},
        )
    return Exported(f"{incident.number}-{facts.kind}.{kind}", kind, body)


def report_document(by: User, incident: Incident, facts: ReportFacts) -> Document:
    """The report."""
    office = Office(
        issuer=facts.issuer,
        parent=facts.parent,
        place=facts.place,
        signature=Signature(facts.position, facts.signer),
        recipients=("Như trên",),
        archive="VT",
    )
    systems = [_system(each, facts) for each in _systems(by, incident)]
    name = f"{incident.number} {defanged(incident.title)}"
    attachments = [
        f"{each.label} {each.file.name} (SHA-256: {each.file.sha256})"
        for each in incident.evidence.listed().filter(withdrawn_at=None)
    ]
    given = {"number": facts.number, "day": facts.day, "marking": incident.get_tlp_display()}
    if facts.kind == ReportKind.CLOSING:
        moments = selectors.timeline(by, incident, (EntryKind.EVENT, EntryKind.ACTION, EntryKind.STATE))
        made = closing_report(
            office,
            ClosingReport(
                incident=name,
                systems=systems,
                detected_at=incident.detected_at,
                closed_at=incident.closed_at,
                description=defanged(facts.description),
                cause=defanged(incident.cause),
                effect=defanged(incident.effect),
                result=defanged(facts.measures),
                lessons=defanged(incident.lessons),
                timeline=[(each.at, defanged(each.text)) for each in moments[:MOST_LINES]],
                attachments=attachments,
            ),
            facts.addressees,
            **given,
        )
    else:
        breach = facts.kind == ReportKind.PERSONAL_DATA
        made = first_notice(
            office,
            FirstNotice(
                incident=name,
                reporter=facts.reporter,
                contact=facts.contact,
                systems=systems,
                description=defanged(facts.description),
                detected_at=(incident.personal_data_at if breach else None) or incident.detected_at,
                how_detected=facts.how_detected,
                handled=facts.handled,
                measures=defanged(facts.measures),
                already_told=facts.already_told,
                attachments=attachments,
                confidential=facts.confidential,
                support_wanted=facts.support_wanted,
                reported_at=timezone.now(),
                personal_data=breach,
            ),
            facts.addressees,
            **given,
        )
    return replace(made, sign=facts.sign or made.sign)


def _systems(by: User, incident: Incident) -> list[InformationSystem]:
    return list(InformationSystem.objects.visible_to(by).filter(incidents=incident).select_related("unit"))


def _system(system: InformationSystem, facts: ReportFacts) -> AffectedSystem:
    def lines(text: str) -> str:
        return ", ".join(line.strip() for line in text.splitlines() if line.strip())

    return AffectedSystem(
        name=system.name,
        level=system.level,
        owner=system.unit.name,
        addresses=lines(system.address_ranges),
        domains=lines(system.hostnames),
        purpose=facts.purpose or lines(system.description),
        providers=facts.providers,
        os_version=facts.os_version,
        services=facts.services,
        safeguards=facts.safeguards,
    )
