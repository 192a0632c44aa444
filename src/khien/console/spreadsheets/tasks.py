"""Tasks as a table: each row gives a unit a task, unless it already has that one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from khien.console.accounts.models import User
from khien.console.directives.models import Task
from khien.console.directives.tasks import create_task
from khien.console.spreadsheets.importers import Column, Importer, Known, end_of_day, text, unit
from khien.console.units.importing import email
from khien.console.units.naming import fold


def person(value: Any, known: Known) -> User:
    """An active person one sees, by e-mail. Raises ValueError."""
    found = known.lookup("people", lambda: _people(known.user)).get(fold(email(value, known)))
    if found is None:
        raise ValueError(_("There is nobody with the e-mail “%(value)s”.") % {"value": text(value)[:60]})
    return found


def _people(user: User) -> dict[str, User]:
    people = User.objects.visible_to(user).filter(is_active=True).select_related("unit")
    return {fold(each.email): each for each in people}


def _key(unit_id: int, title: str, due_at: datetime) -> str:
    return f"{unit_id} {int(due_at.timestamp())} {title}"


def _open_tasks(user: User) -> dict[str, bool]:
    tasks = Task.objects.visible_to(user).filter(closed_at=None, due_at__gt=timezone.now())
    return {_key(*each): True for each in tasks.values_list("unit_id", "title", "due_at")}


def due(value: Any, known: Known) -> datetime:
    """A time to come. Raises ValueError."""
    moment = end_of_day(value, known)
    if moment <= timezone.now():
        raise ValueError(_("This time has passed."))
    return moment


class TaskImporter(Importer):
    """Gives tasks to units."""

    name = "tasks"
    title = gettext_lazy("Tasks")
    icon = "checklist"
    capability = "tasks.check"
    next_url = "work"
    columns: ClassVar = (
        Column("title", gettext_lazy("Task"), text, required=True, example="Rà soát tài khoản quản trị"),
        Column(
            "unit",
            gettext_lazy("Unit"),
            unit,
            required=True,
            hint=gettext_lazy("Code or name of the unit."),
            example="so-y-te",
        ),
        Column(
            "due_at",
            gettext_lazy("Due"),
            due,
            required=True,
            hint=gettext_lazy("A day, or a day and a time; a day alone means 17:00."),
            example="31/12/2026",
        ),
        Column("text", gettext_lazy("What to do"), text),
        Column(
            "assignee",
            gettext_lazy("Person of the unit"),
            person,
            hint=gettext_lazy("E-mail of a person of the unit; may be left empty."),
            default=None,
        ),
    )

    def check(self, known: Known, thing: Any | None, values: Mapping[str, Any]) -> dict[str, str]:
        wrong = {}
        if len(values["title"]) > 300:
            wrong["title"] = _("This is longer than %(most)s characters.") % {"most": 300}
        open_tasks = known.lookup("tasks", lambda: _open_tasks(known.user))
        if _key(values["unit"].pk, values["title"], values["due_at"]) in open_tasks:
            wrong["title"] = _("The unit already has this task, due at the same time.")
        who = values.get("assignee")
        if who is not None and not (who.unit.path.startswith(values["unit"].path) and who.may("tasks.work")):
            wrong["assignee"] = _("A task goes to a person of its unit or of one below.")
        return wrong

    def apply(self, by: User, thing: Any | None, values: Mapping[str, Any], changed: set[str]) -> None:
        create_task(by, **values)


IMPORTERS = (TaskImporter(),)
