"""Alerts of incidents."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.alerts import writing
from khien.console.alerts.models import Status
from khien.console.alerts.writing import Chosen, Done, Row
from khien.console.concurrency import locked
from khien.console.incidents.models import Incident


def link_to_incident(by: User, alerts: Chosen, incident: Incident) -> Done:
    """Make alerts those of an incident the person sees; new ones are in progress then. Raises ValidationError.

    An alert of another incident moves when that one is seen too.
    """
    demand(by, "alerts.work")
    with transaction.atomic():
        incident = locked(Incident, incident.pk, None, by=by)  # it is not closed or merged meanwhile
        if incident.status in ("closed", "merged"):
            raise ValidationError({"incident": _("%(incident)s is closed.") % {"incident": incident.number}})

        def check(rows: list[Row]) -> None:
            others = {row["incident_id"] for row in rows} - {None, incident.pk}
            if others and Incident.objects.visible_to(by).filter(pk__in=others).count() < len(others):
                raise ValidationError({"incident": _("Some of these alerts belong to another incident.")})

        def changes(row: Row) -> Row:
            begins = {"status": Status.IN_PROGRESS.value} if row["status"] == Status.NEW else {}
            return {"incident_id": incident.pk, **begins}

        return writing.change(
            by, "link", alerts, changes, data={"incident": incident.pk, "number": incident.number}, check=check
        )


def unlink_from_incident(by: User, alerts: Chosen) -> Done:
    """Take alerts out of their incidents, which the person must see. Raises ValidationError."""

    def check(rows: list[Row]) -> None:
        linked = {row["incident_id"] for row in rows} - {None}
        if Incident.objects.visible_to(by).filter(pk__in=linked).count() < len(linked):
            raise ValidationError({"incident": _("Some of these alerts belong to another incident.")})

    return writing.change(by, "unlink", alerts, lambda row: {"incident_id": None}, check=check)
