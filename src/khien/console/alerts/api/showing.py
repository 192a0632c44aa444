"""Alerts as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ninja import Schema
from ninja.errors import HttpError

from khien.console.accounts.models import User
from khien.console.alerts.criteria import Criteria
from khien.console.alerts.detail import samples
from khien.console.alerts.language import FilterError
from khien.console.alerts.models import Alert, AlertFinding
from khien.console.alerts.state import State
from khien.console.api.shapes import PersonRef, SystemRef, Time, UnitRef
from khien.console.incidents.selectors import visible_numbers
from khien.console.systems.models import InformationSystem


class AlertOut(Schema):
    """An alert. `level`: 0 informational to 4 critical; `status`: 0 new, 1 in progress, 2 closed.

    `incident`, `system`: null also where the key's owner does not see it. `entities`: kind and value.
    """

    id: int
    key: str
    rule_id: str
    title: str
    level: int
    status: int
    verdict: str
    classification: str
    reason: str
    unit: UnitRef | None
    system: SystemRef | None
    entity_kind: str
    entity_value: str
    entities: list[Any]
    tags: list[Any]
    sources: list[Any]
    count: int
    first_at: Time
    last_at: Time
    arrived_at: Time
    updated_at: Time
    owner: PersonRef | None
    incident: int | None
    version: int


def show_alerts(user: User, found: Sequence[Alert]) -> list[dict[str, Any]]:
    """Alerts as the API shows them, naming only incidents and systems that the person sees."""
    linked = {each.incident_id for each in found if each.incident_id}
    known = visible_numbers(user, linked) if linked and user.may("incidents.view") else {}
    named = {each.system_id for each in found if each.system_id}
    systems = InformationSystem.objects.visible_to(user).in_bulk(named) if named else {}
    names = [name for name in AlertOut.model_fields if name not in ("incident", "system")]
    return [
        {
            **{name: getattr(each, name) for name in names},
            "incident": each.incident_id if each.incident_id in known else None,
            "system": systems.get(each.system_id),
        }
        for each in found
    ]


def criteria_of(user: User, q: str, tab: str = "all") -> Criteria:
    """What a filter of the queue asks for, within what the person sees. Raises HttpError 422."""
    try:
        return State.of({"q": q, "tab": tab}).criteria(user)
    except FilterError as error:
        raise HttpError(422, f"q: {error}") from error


def finding_of(alert: Alert, position: int | None) -> AlertFinding | None:
    """One of the findings kept of an alert, the first unless told; None where none is kept.

    Raises AlertFinding.DoesNotExist for a position where there is none.
    """
    found = samples(alert)
    if position is None:
        return found[0] if found else None
    chosen = next((each for each in found if each.position == position), None)
    if chosen is None:
        raise AlertFinding.DoesNotExist
    return chosen


def record_of(finding: AlertFinding | None) -> dict[str, Any]:
    """What a finding says, as `khien hunt --format ndjson` writes it."""
    return finding.record if finding is not None and isinstance(finding.record, dict) else {}
