"""Tasks by playbook: given to the units of an incident, as often as needed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import record
from khien.console.concurrency import locked
from khien.console.directives.models import Task
from khien.console.directives.tasks import create_task
from khien.console.incidents import catalogue
from khien.console.incidents.models import EntryKind, Incident
from khien.console.incidents.timeline import add_entry, working
from khien.console.units.models import Unit

GIVEN = gettext_noop("Task for %(unit)s: %(task)s")


def offered(incident: Incident, now: datetime | None = None) -> list[catalogue.Playbook]:
    """The playbooks in force for an incident, those of its class first, then those of other classes."""
    day = timezone.localtime(now or timezone.now()).date()
    own = catalogue.playbooks(day, incident.working_class)
    return own + [each for each in catalogue.playbooks(day) if each not in own]


def apply_playbook(
    by: User, incident_pk: int, playbook: str, codes: Iterable[str] | None = None, *, now: datetime | None = None
) -> list[Task]:
    """Give the tasks of a playbook (all, or those of some codes), due counted from now. Raises ValidationError."""
    demand(by, "incidents.work")
    now = now or timezone.now()
    wanted = None if codes is None else set(codes)
    with transaction.atomic():
        incident = working(locked(Incident, incident_pk, None, by=by))
        chosen = next((each for each in offered(incident, now) if each.code == playbook), None)
        templates = [each for each in chosen.tasks if wanted is None or each.code in wanted] if chosen else []
        if not templates:
            raise ValidationError(_("Choose the tasks to give."))
        made = []
        for template in templates:
            units = _units(by, incident, template.to)
            due_at = now + timedelta(hours=template.due_hours)
            given = [
                create_task(by, unit=unit, title=template.label, text=template.text, due_at=due_at, incident=incident)
                for unit in units
            ]
            _tell(by, incident, given, now)
            made += given
        record(
            by,
            "incident.playbook",
            incident,
            after={"playbook": playbook, "ruleset": chosen.ruleset, "tasks": [task.pk for task in made]},
        )
    return made


def add_task(
    by: User,
    incident_pk: int,
    *,
    unit: Unit,
    title: str,
    due_at: datetime,
    text: str = "",
    assignee: User | None = None,
) -> Task:
    """Give one task that stands in no playbook."""
    demand(by, "incidents.work")
    with transaction.atomic():
        incident = working(locked(Incident, incident_pk, None, by=by))
        task = create_task(by, unit=unit, title=title, due_at=due_at, text=text, incident=incident, assignee=assignee)
        _tell(by, incident, [task], timezone.now())
    return task


def _tell(by: User, incident: Incident, tasks: list[Task], now: datetime) -> None:
    """One entry for the same task of several units."""
    params = {"unit": ", ".join(str(task.unit) for task in tasks), "task": tasks[0].title}
    data = {"params": params, "tasks": [task.pk for task in tasks]}
    add_entry(by, incident, EntryKind.TASK, GIVEN, now, data)


def _units(by: User, incident: Incident, to: str) -> list[Unit]:
    """The units a template's tasks go to; the leading one where there is no other."""
    if to == "affected":
        found = list(incident.units.filter(is_active=True))
    elif to.startswith("kind:"):
        found = list(Unit.objects.visible_to(by).filter(kind__code=to.removeprefix("kind:"), is_active=True)[:1])
    else:
        found = []
    return found or [incident.unit]
