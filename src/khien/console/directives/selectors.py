"""Reads of sessions, directives and tasks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, IntegerField, Prefetch, Q, Value, When
from django.utils import timezone

from khien.console.accounts.models import User
from khien.console.accounts.roles import roles_with
from khien.console.directives.models import OPEN, OWED, Directive, Session, Task, TaskQuerySet, TaskState
from khien.console.directives.models.directives import DirectiveQuerySet
from khien.console.directives.models.sessions import SessionQuerySet
from khien.console.directives.rights import checkable, handled
from khien.console.incidents.models import Incident
from khien.console.units.folding import saying
from khien.console.units.naming import fold

A_COLUMN = 40
"""How many cards a column of "my work" shows; the rest is behind its link."""


def shown(tasks: TaskQuerySet) -> TaskQuerySet:
    """With what a line of a list names."""
    return tasks.select_related("unit", "assignee", "incident", "directive", "directive__conclusion__session")


def overdue_first(tasks: TaskQuerySet, *then: Any, now: datetime | None = None) -> TaskQuerySet:
    """Overdue ones on top, those that are over last, within that as told."""
    rank = Case(
        When(state__in=OWED, due_at__lt=now or timezone.now(), then=Value(0)),
        When(state__in=OPEN, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return tasks.order_by(rank, *then, "id")


def tasks_of_incident(user: User, incident: Incident) -> TaskQuerySet:
    """The tasks of an incident that a person sees: the overdue, then those due first; those that are over last."""
    return overdue_first(shown(Task.objects.visible_to(user).filter(incident=incident)), "due_at")


def counts(tasks: TaskQuerySet, now: datetime | None = None) -> dict[str, int]:
    """How many tasks are overdue, sent, accepted, finished, done (each task in one of these), and all of them."""
    found: dict[str, int] = tasks.order_by().aggregate(**count_columns(now or timezone.now()))
    return found


def count_columns(now: datetime) -> dict[str, Count]:
    """The counts by state for `annotate` and `aggregate`; cancelled tasks are in none."""
    late = Q(state__in=OWED, due_at__lt=now)
    return {
        "overdue": Count("pk", filter=late),
        "sent": Count("pk", filter=Q(state=TaskState.SENT) & ~late),
        "accepted": Count("pk", filter=Q(state=TaskState.ACCEPTED) & ~late),
        "finished": Count("pk", filter=Q(state=TaskState.FINISHED)),
        "done": Count("pk", filter=Q(state=TaskState.DONE)),
        "all": Count("pk", filter=~Q(state=TaskState.CANCELLED)),
    }


@dataclass(frozen=True, slots=True)
class Column:
    """A column of "my work": its first tasks, and how many there are."""

    name: str
    tasks: list[Task]
    count: int


@dataclass(frozen=True, slots=True)
class Work:
    """What waits for a person. `whose`: mine or unit. `checks`: what waits for this person's check or decision."""

    whose: str
    mine: int
    unit: int
    columns: list[Column]
    checks: Column


def work_of(user: User, whose: str = "", now: datetime | None = None) -> Work:
    """The open tasks handed to a person, or of the units they work for, by how soon they are due.

    Without `whose`: one's own, unless there are none.
    """
    now = now or timezone.now()
    seen = Task.objects.visible_to(user)
    owed = seen.filter(state__in=OWED)
    both = (
        owed.filter(handled(user)).order_by().aggregate(mine=Count("pk", filter=Q(assignee=user.pk)), unit=Count("pk"))
    )
    if whose not in ("mine", "unit"):
        whose = "mine" if both["mine"] else "unit"
    chosen = owed.filter(Q(assignee=user.pk) if whose == "mine" else handled(user))
    week = now + timedelta(days=7)
    parts = {
        "overdue": Q(due_at__lt=now),
        "week": Q(due_at__gte=now, due_at__lt=week),
        "later": Q(due_at__gte=week),
    }
    sizes = chosen.order_by().aggregate(**{name: Count("pk", filter=part) for name, part in parts.items()})
    columns = [
        Column(name, list(shown(chosen.filter(part).order_by("due_at", "id"))[:A_COLUMN]), sizes[name])
        for name, part in parts.items()
    ]
    waiting = seen.filter(waiting_for(user))
    checks = Column("checks", list(shown(waiting.order_by("due_at", "id"))[:A_COLUMN]), waiting.count())
    return Work(whose, both["mine"], both["unit"], columns, checks)


def waiting_for(user: User) -> Q:
    """The condition that a task waits for a person's check, or for an answer about more time."""
    return checkable(user) & (Q(state=TaskState.FINISHED) | Q(state__in=OWED, wanted_due_at__isnull=False))


def assignable(task: Task) -> Iterable[User]:
    """Whom a task can be handed to: active people of its unit and those below who work on tasks."""
    return people_below(task.unit.path)


def people_below(path: str) -> Iterable[User]:
    """Active people who work on tasks, of the unit of a path and those below."""
    return (
        User.objects.filter(unit__path__startswith=path, is_active=True, role__in=roles_with("tasks.work"))
        .select_related("unit")
        .order_by("name", "id")
    )


def directives_shown(user: User) -> DirectiveQuerySet:
    """Directives a person sees, with what a list names and those of their tasks that the person sees."""
    tasks = Task.objects.visible_to(user).exclude(state=TaskState.CANCELLED).select_related("unit")
    return (
        Directive.objects.visible_to(user)
        .select_related("conclusion__session", "signer", "created_by")
        .prefetch_related(Prefetch("tasks", tasks.order_by("unit__name", "id"), to_attr="seen_tasks"))
    )


def sessions_shown(user: User) -> SessionQuerySet:
    """Sessions a person sees, with what a list names."""
    return (
        Session.objects.visible_to(user)
        .select_related("chair", "secretary")
        .annotate(conclusion_count=Count("conclusions", distinct=True))
        .order_by("-starts_at", "-id")
    )


def search_tasks(user: User, text: str) -> TaskQuerySet:
    """Tasks with a text in title, description, number of the directive or of the incident; the open ones first."""
    found = saying(text) | Q(incident__number__icontains=text)
    if number := _number(text):
        found |= Q(directive__number=number)
    return overdue_first(shown(Task.objects.visible_to(user).filter(found)), "due_at")


def search_directives(user: User, text: str) -> DirectiveQuerySet:
    """Directives with a text in title, text or basis, or of a number such as 12/CĐ-TBATANM; the latest first."""
    found = saying(text)
    if number := _number(text):
        sign = text.partition("/")[2].strip()
        found |= Q(number=number, folded__startswith=fold(sign))
    return Directive.objects.visible_to(user).filter(found).select_related("conclusion__session").order_by("-id")


def _number(text: str) -> int | None:
    start = text.partition("/")[0].strip()
    return int(start) if start.isdecimal() and len(start) <= 6 else None


def board(user: User, by: str, now: datetime | None = None, session: int | None = None) -> list[dict[str, Any]]:
    """Counts by state for each unit, person or session, those with most overdue first.

    Each row: `key` (id or None), `name`, and the counts of `count_columns`. A session the person does not see is
    named by its number alone, as where its directives are shown.
    """
    now = now or timezone.now()
    tasks = Task.objects.visible_to(user).exclude(state=TaskState.CANCELLED).order_by()
    if session is not None:
        tasks = tasks.filter(directive__conclusion__session=session)
    keys = {
        "unit": ("unit_id", ("unit__short_name", "unit__name")),
        "person": ("assignee_id", ("assignee__name", "assignee__email")),
        "session": (
            "directive__conclusion__session_id",
            ("directive__conclusion__session__number", "directive__conclusion__session__title"),
        ),
    }
    key, names = keys[by]
    if by == "session":
        tasks = tasks.filter(directive__conclusion__isnull=False)
    sessions = set(Session.objects.visible_to(user).values_list("pk", flat=True)) if by == "session" else set()
    rows = []
    for row in tasks.values(key, *names).annotate(**count_columns(now)):
        first, second = (row[name] or "" for name in names)
        name = f"{first} {second}" if row[key] in sessions else first or second
        rows.append({**row, "key": row[key], "name": name.strip()})
    return sorted(rows, key=lambda row: (-row["overdue"], -row["all"], row["name"]))
