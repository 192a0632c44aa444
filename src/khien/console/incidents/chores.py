"""What the worker does for incidents: warn before a legal deadline, and again when it is missed."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from khien.console.chores import Chore
from khien.console.concurrency import locked
from khien.console.incidents import catalogue, people
from khien.console.incidents.clocks import tell
from khien.console.incidents.models import Clock, ClockState, Incident

SOON = gettext_noop("Incident %(number)s: “%(duty)s” is due within %(hours)s h: %(title)s")
MISSED = gettext_noop("Incident %(number)s: “%(duty)s” is missed: %(title)s")
TOLD = gettext_noop("Legal deadline missed: %(duty)s")
_AGAIN = timedelta(hours=24)
"""How often those in charge are told again of what is still missed."""


def escalate_clocks(now: datetime | None = None) -> int:
    """Warn of open clocks: leader and team at each of the hours before, the chair and those who may lead too at the
    last of them, when missed, and every day after. Each warning goes out once. Returns how many went out.
    """
    now = now or timezone.now()
    hours = catalogue.warn_hours()
    horizon = now + timedelta(hours=max(hours, default=0))
    due = Clock.objects.filter(state=ClockState.OPEN, due_at__lte=horizon).values_list("pk", "incident_id")
    return sum(_escalate(pk, incident, now, hours) for pk, incident in due)


def _escalate(pk: int, incident_pk: int, now: datetime, hours: list[float]) -> bool:
    with transaction.atomic():
        incident = locked(Incident, incident_pk, None)
        clock = Clock.objects.select_for_update().get(pk=pk)
        step = _step(clock, now, hours) if clock.is_open else ""
        if not step or step in clock.notified:
            return False
        clock.incident = incident
        missed = step.startswith("missed")
        told = people.workers(incident)
        if missed or step == f"{min(hours):g}h":
            told += people.superiors(incident)
        extra = {} if missed else {"hours": step.removesuffix("h")}
        people.tell(
            incident,
            told,
            "incident.clock_missed" if missed else "incident.clock_soon",
            MISSED if missed else SOON,
            urgent=True,
            duty=clock.label_vi,
            **extra,
        )
        if step == "missed-0":
            tell(None, clock, TOLD, clock.due_at)
        clock.notified = [*clock.notified, step]
        clock.save(update_fields=["notified"])
        return True


def _step(clock: Clock, now: datetime, hours: list[float]) -> str:
    """The warning that is due now: "6h", "1h", "missed-0" and, day by day, "missed-1" ..."""
    left = clock.due_at - now
    if left < timedelta(0):
        return f"missed-{-left // _AGAIN}"
    passed = [hour for hour in hours if left <= timedelta(hours=hour)]
    return f"{min(passed):g}h" if passed else ""


CHORES = [Chore("incident clocks", timedelta(minutes=1), escalate_clocks)]
