"""The filter of the task list, as it stands in the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django.db.models import F, Q
from django.utils import timezone
from django.utils.dateparse import parse_date

from khien.console.accounts.models import User
from khien.console.directives.models import OPEN, OWED, TaskQuerySet, TaskState
from khien.console.directives.selectors import overdue_first, waiting_for
from khien.console.frame.given import whole
from khien.console.units.folding import saying

SORTS = {
    "due": "due_at",
    "unit": "unit__name",
    "person": "assignee__name",
    "state": "state",
    "progress": "progress",
    "title": "title",
    "updated": "updated_at",
}
STATES = ("open", "overdue", *TaskState.values)
ORIGINS = ("directive", "incident", "other")


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """What is asked for. Words it does not know are left out, so a wrong address shows more, not an error."""

    text: str = ""
    unit: int | None = None
    person: str = ""
    state: str = ""
    origin: str = ""
    due_from: datetime | None = None
    due_to: datetime | None = None
    session: int | None = None
    directive: int | None = None
    incident: int | None = None
    waiting: bool = False
    sort: str = "due"
    down: bool = False

    @classmethod
    def read(cls, query: Mapping[str, Any]) -> TaskFilter:
        """From the parameters of an address."""
        sort = query.get("sort", "")
        state, origin, person = query.get("state", ""), query.get("origin", ""), query.get("person", "")
        return cls(
            text=query.get("q", "").strip()[:200],
            unit=whole(query.get("unit", "")),
            person=person if person in ("me", "none") or whole(person) else "",
            state=state if state in STATES else "",
            origin=origin if origin in ORIGINS else "",
            due_from=_day(query.get("due_from", "")),
            due_to=_day(query.get("due_to", ""), end=True),
            session=whole(query.get("session", "")),
            directive=whole(query.get("directive", "")),
            incident=whole(query.get("incident", "")),
            waiting=query.get("waiting", "") == "1",
            sort=sort.removeprefix("-") if sort.removeprefix("-") in SORTS else "due",
            down=sort.startswith("-"),
        )

    def of(self, tasks: TaskQuerySet, user: User, now: datetime | None = None) -> TaskQuerySet:
        """Those of some tasks that are asked for, the overdue on top whatever the order."""
        now = now or timezone.now()
        if self.text:
            tasks = tasks.filter(saying(self.text))
        for name in ("unit", "directive", "incident"):
            if (value := getattr(self, name)) is not None:
                tasks = tasks.filter(**{name: value})
        if self.session is not None:
            tasks = tasks.filter(directive__conclusion__session=self.session)
        if self.person:
            who = {"me": Q(assignee=user.pk), "none": Q(assignee__isnull=True)}
            tasks = tasks.filter(who.get(self.person) or Q(assignee=whole(self.person)))
        if self.state == "overdue":
            tasks = tasks.filter(state__in=OWED, due_at__lt=now)
        elif self.state == "open":
            tasks = tasks.filter(state__in=OPEN)
        elif self.state:
            tasks = tasks.filter(state=self.state)
        if self.origin == "other":
            tasks = tasks.filter(directive__isnull=True, incident__isnull=True)
        elif self.origin:
            tasks = tasks.filter(**{f"{self.origin}__isnull": False})
        if self.due_from:
            tasks = tasks.filter(due_at__gte=self.due_from)
        if self.due_to:
            tasks = tasks.filter(due_at__lt=self.due_to)
        if self.waiting:
            tasks = tasks.filter(waiting_for(user))
        order = F(SORTS[self.sort])
        by = order.desc(nulls_last=True) if self.down else order.asc(nulls_last=True)
        return overdue_first(tasks, by, now=now)


def _day(text: str, *, end: bool = False) -> datetime | None:
    try:
        day = parse_date(text)
    except ValueError:
        return None
    if day is None or not 1900 < day.year < 9000:
        return None
    return timezone.make_aware(datetime.combine(day + timedelta(days=end), time()))
