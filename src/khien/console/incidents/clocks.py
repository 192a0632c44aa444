"""The law's clocks on an incident: which run, what was sent, and why something was not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import record
from khien.console.concurrency import locked
from khien.console.incidents import catalogue
from khien.console.incidents.models import Clock, ClockState, EntryKind, Incident
from khien.console.incidents.timeline import add_entry, demand_past, unmerged

STARTED = gettext_noop("Legal deadline: %(duty)s")
WITHDRAWN = gettext_noop("Legal deadline no longer applies: %(duty)s")
SENT = gettext_noop("Report sent: %(duty)s, number %(number)s, to %(recipient)s")
WAIVED = gettext_noop("Report not sent: %(duty)s. Reason: %(reason)s")


@dataclass(frozen=True, slots=True)
class Duty:
    """A clock that has to run for an incident as it is now."""

    ruleset: catalogue.ClockRuleset
    rule: catalogue.ClockRule
    starts_at: datetime

    @property
    def due_at(self) -> datetime:
        """When the report has to be sent."""
        return self.starts_at + timedelta(hours=self.rule.hours)


def duties(incident: Incident) -> list[Duty]:
    """What the catalogue asks for, by the rulesets in force on the day a clock starts."""
    starts = {"detected": incident.detected_at, "personal_data": incident.personal_data_at}
    found: dict[str, Duty] = {}
    for name, start in starts.items():
        if start is None:
            continue
        for ruleset in catalogue.clock_rulesets(timezone.localtime(start).date()):
            for rule in ruleset.clocks:
                if rule.starts == name and any(_holds(when, incident) for when in rule.when):
                    found.setdefault(rule.code, Duty(ruleset, rule, start))
    return list(found.values())


def _holds(when: catalogue.When, incident: Incident) -> bool:
    return (
        all(getattr(incident, flag) for flag in when.flags)
        and (not when.classes or incident.working_class in when.classes)
        and incident.level >= when.min_level
    )


def settle(by: User | None, incident: Incident, now: datetime | None = None) -> None:
    """Make the clocks those that the incident's facts ask for; sent and waived ones stay as they are.

    Sets `next_due_at`; the caller saves the incident. A missed deadline is taken away or put off only by who may lead:
    raises ValidationError for others.
    """
    now = now or timezone.now()
    wanted = {duty.rule.code: duty for duty in duties(incident)}
    rows = {clock.code: clock for clock in incident.clocks.select_for_update()}
    for clock in rows.values():
        duty = wanted.get(clock.code)
        if clock.is_overdue(now) and (duty is None or duty.due_at > clock.due_at):
            if by is not None and not by.may("incidents.lead"):
                raise ValidationError(
                    _("“%(duty)s” is missed; only who may lead incidents can take it away or put it off.")
                    % {"duty": clock.label}
                )
        if duty is None and clock.is_open:
            clock.state = ClockState.WITHDRAWN
            clock.version += 1
            clock.save()
            tell(by, clock, WITHDRAWN, now)
    for code, duty in wanted.items():
        clock = rows.get(code)
        if clock is None:
            clock = Clock(incident=incident, code=code, **_facts(duty))
            clock.save()
            tell(by, clock, STARTED, now)
        elif clock.state in (ClockState.OPEN, ClockState.WITHDRAWN):
            if clock.state == ClockState.WITHDRAWN:
                tell(by, clock, STARTED, now)
            elif clock.due_at == duty.due_at and clock.ruleset == duty.ruleset.ruleset:
                continue
            for name, value in _facts(duty).items():
                setattr(clock, name, value)
            clock.state, clock.notified = ClockState.OPEN, []
            clock.version += 1
            clock.save()
    _next_due(incident)


def _facts(duty: Duty) -> dict[str, Any]:
    rule = duty.rule
    return {
        "ruleset": duty.ruleset.ruleset,
        "basis": duty.ruleset.source,
        "label_vi": rule.vi,
        "label_en": rule.en,
        "recipient_vi": rule.recipient_vi,
        "recipient_en": rule.recipient_en,
        "starts_at": duty.starts_at,
        "due_at": duty.due_at,
    }


def _next_due(incident: Incident) -> None:
    incident.next_due_at = (
        incident.clocks.filter(state=ClockState.OPEN).order_by("due_at").values_list("due_at", flat=True).first()
    )


def tell(by: User | None, clock: Clock, text: str, at: datetime, **params: str) -> None:
    """An entry about a clock."""
    words = {"duty": {"vi": clock.label_vi, "en": clock.label_en}, **params}
    add_entry(by, clock.incident, EntryKind.CLOCK, text, at, {"params": words})


def _held(by: User, pk: int, version: int) -> tuple[Incident, Clock]:
    """The incident and its clock, both held, the incident first as everywhere."""
    incident = locked(Incident, Clock.objects.visible_to(by).get(pk=pk).incident_id, None, by=by)
    clock = locked(Clock, pk, version, by=by)
    clock.incident = unmerged(incident)
    return incident, clock


def mark_sent(
    by: User,
    pk: int,
    version: int,
    *,
    sent_at: datetime,
    document_number: str,
    recipient: str,
    confirmation: str = "",
    now: datetime | None = None,
) -> Clock:
    """The report was sent: when, under which number, to whom, and how they confirmed. May be completed later."""
    demand(by, "incidents.work")
    now = now or timezone.now()
    demand_past(sent_at, "sent_at", now)
    if not recipient.strip():
        raise ValidationError({"recipient": _("Say to whom it was sent.")})
    with transaction.atomic():
        incident, clock = _held(by, pk, version)
        before = _told(clock)
        first = clock.state != ClockState.SENT
        clock.state, clock.sent_at = ClockState.SENT, sent_at
        clock.document_number, clock.recipient = document_number.strip()[:80], recipient.strip()[:300]
        clock.confirmation, clock.reason = confirmation.strip(), ""
        clock.settled_by, clock.settled_at = by, now
        clock.version += 1
        clock.save()
        if first:
            tell(by, clock, SENT, sent_at, number=clock.document_number or "–", recipient=clock.recipient)
        _next_due(incident)
        incident.save(update_fields=["next_due_at", "updated_at"])
        record(by, "incident.report_sent", incident, before=before, after=_told(clock))
    return clock


def waive(by: User, pk: int, version: int, *, reason: str, now: datetime | None = None) -> Clock:
    """Say why a report is not sent. Needs `incidents.lead`."""
    demand(by, "incidents.lead")
    if not reason.strip():
        raise ValidationError({"reason": _("Say why it is not sent.")})
    with transaction.atomic():
        incident, clock = _held(by, pk, version)
        if not clock.is_open:
            raise ValidationError(_("This report is no longer to be sent."))
        put_aside(by, clock, reason, now or timezone.now())
        _next_due(incident)
        incident.save(update_fields=["next_due_at", "updated_at"])
    return clock


def put_aside(by: User, clock: Clock, reason: str, now: datetime) -> None:
    """Settle an open clock without a report, in the caller's transaction."""
    before = _told(clock)
    clock.state, clock.reason = ClockState.WAIVED, reason.strip()[:500]
    clock.settled_by, clock.settled_at = by, now
    clock.version += 1
    clock.save()
    tell(by, clock, WAIVED, now, reason=clock.reason)
    record(by, "incident.report_waived", clock.incident, before=before, after=_told(clock))


def _told(clock: Clock) -> dict[str, Any]:
    return {
        "clock": clock.code,
        "state": str(clock.state),
        "due_at": clock.due_at,
        "sent_at": clock.sent_at,
        "number": clock.document_number,
        "recipient": clock.recipient,
        "confirmation": clock.confirmation,
        "reason": clock.reason,
    }
