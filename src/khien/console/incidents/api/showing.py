"""An incident and what belongs to it, as the API shows them."""

from __future__ import annotations

from typing import Any, Literal

from ninja import Schema
from pydantic import Field

from khien.console.accounts.models import User
from khien.console.alerts.models import Alert
from khien.console.api.shapes import PersonRef, SystemRef, Time, UnitRef, seen
from khien.console.audit.services import record_view
from khien.console.incidents.models import Incident
from khien.console.incidents.selectors import visible_numbers
from khien.console.systems.models import InformationSystem

TlpName = Literal["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"]
Version = Field(ge=0, lt=2**31)
"""Of the thing as it was read; with another one the answer is 409."""
MOST_ALERTS = 1000
_TEXTS = ("description", "cause", "effect", "lessons", "personal_data_at")


class IncidentRef(Schema):
    """An incident."""

    id: int
    number: str
    title: str


class IncidentOut(Schema):
    """An incident. `level`: 0 informational to 4 critical. `next_due_at`: the earliest open legal deadline."""

    id: int
    number: str
    title: str
    level: int
    working_class: str
    classification: str
    status: str
    tlp: str
    unit: UnitRef
    leader: PersonRef | None
    urgent: bool
    serious: bool
    personal_data: bool
    detected_at: Time
    next_due_at: Time | None
    created_at: Time
    updated_at: Time
    closed_at: Time | None
    version: int


class ClockOut(Schema):
    """A legal duty to report. `state`: open, sent, waived or withdrawn. `recipient_vi`, `recipient_en`: whom the law
    names; `recipient`: to whom it was sent. `reason`: why it was not sent."""

    id: int
    code: str
    ruleset: str
    label_vi: str
    label_en: str
    basis: str
    recipient_vi: str
    recipient_en: str
    starts_at: Time
    due_at: Time
    state: str
    sent_at: Time | None
    document_number: str
    recipient: str
    confirmation: str
    reason: str
    settled_at: Time | None
    version: int


class IndicatorOut(Schema):
    """An indicator, in its normal form."""

    id: int
    kind: str
    value: str
    tlp: str
    note: str
    added_at: Time
    version: int


class IncidentWhole(IncidentOut):
    """An incident with what belongs to it, as far as the key's owner sees it. `alerts`: the first thousand."""

    description: str
    cause: str
    effect: str
    lessons: str
    personal_data_at: Time | None
    created_by: PersonRef | None
    units: list[UnitRef]
    systems: list[SystemRef]
    team: list[PersonRef]
    clocks: list[ClockOut]
    indicators: list[IndicatorOut]
    alerts: list[int]
    related: list[IncidentRef]
    merged: list[IncidentRef]
    merged_into: int | None = Field(None, alias="merged_into_id")


def looked_at(user: User, pk: int) -> Incident:
    """An incident that the person sees; of a sensitive one the look is recorded. Raises DoesNotExist for others."""
    rows = Incident.objects.visible_to(user).select_related("unit", "leader", "created_by")
    incident: Incident = seen(rows, pk)
    if incident.is_sensitive:
        record_view(user, incident)
    return incident


def whole(user: User, pk: int) -> dict[str, Any]:
    """An incident with everything the person sees of it; a look, as by `looked_at`."""
    incident = looked_at(user, pk)
    visible = Incident.objects.visible_to(user)
    plain = {name: getattr(incident, name) for name in (*IncidentOut.model_fields, *_TEXTS, "created_by")}
    seen_ids = visible_numbers(user, [incident.merged_into_id or 0])
    alerts = Alert.objects.visible_to(user).filter(incident=incident)
    return {
        **plain,
        "units": list(incident.units.all()),
        "systems": list(InformationSystem.objects.visible_to(user).filter(incidents=incident)),
        "team": list(incident.team.all()),
        "clocks": list(incident.clocks.all()),
        "indicators": list(incident.indicators.all()),
        "alerts": list(alerts.values_list("pk", flat=True)[:MOST_ALERTS]),
        "related": list(visible.filter(related=incident)),
        "merged": list(visible.filter(merged_into=incident)),
        "merged_into_id": incident.merged_into_id if incident.merged_into_id in seen_ids else None,
    }
