"""Reminding before tasks are due, and escalating after; so too of what is finished and waits for a check. Each once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_noop

from khien.console.accounts.models import User
from khien.console.concurrency import locked
from khien.console.directives.models import OWED, Task, TaskReminder, TaskState
from khien.console.directives.rights import chairs, checkers, checks, people_of, standing_office
from khien.console.directives.tasks import tell

HERE = Path(__file__).resolve().parent
_AUDIENCES = ("unit", "checker", "standing_office", "chair")
_STARTS = ("due", "day", "finished")
SOON = gettext_noop("Due %(due)s: %(task)s (%(unit)s)")
OVERDUE = gettext_noop("Overdue since %(due)s: %(task)s (%(unit)s)")
UNCHECKED = gettext_noop("Waits for a check since %(due)s: %(task)s (%(unit)s)")


@dataclass(frozen=True, slots=True)
class Rule:
    """When a reminder is sent, and to whom. `start`: what is counted from, one of `_STARTS`.

    `due`: the due time; `day`: midnight of its day; `finished`: when the unit reported it finished.
    """

    code: str
    offset: timedelta
    start: str
    audience: str

    def since(self, task: Task) -> datetime:
        """The time of the task by which it is sent once: its due time, or that of the report that it is finished."""
        return task.finished_at or task.due_at if self.unchecked else task.due_at

    def moment(self, task: Task) -> datetime:
        """When it is sent for a task."""
        since = self.since(task)
        if self.start == "day":
            since = timezone.localtime(since).replace(hour=0, minute=0, second=0, microsecond=0)
        return since + self.offset

    @property
    def unchecked(self) -> bool:
        """Whether it tells of a task that waits for a check."""
        return self.start == "finished"

    @property
    def overdue(self) -> bool:
        """Whether it tells of an overdue task."""
        return self.start == "due" and self.offset >= timedelta(0)


def rules() -> list[Rule]:
    """The rules in force: those of the data folder, else those beside this module."""
    own = Path(settings.DATA) / "reminders.yaml"
    return load(own if own.exists() else HERE / "reminders.yaml")


def load(path: Path) -> list[Rule]:
    """Rules from a file. Raises ImproperlyConfigured that says what is wrong."""
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = [_rule(row) for row in rows]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"{path}: {error}") from error
    if len({rule.code for rule in found}) != len(found):
        raise ImproperlyConfigured(f"{path}: two reminders have one code")
    return found


def _rule(row: dict[str, Any]) -> Rule:
    if row["to"] not in _AUDIENCES:
        raise ValueError(f"{row['code']}: to is one of {', '.join(_AUDIENCES)}, not {row['to']}")
    start = row.get("from", "due")
    if start not in _STARTS:
        raise ValueError(f"{row['code']}: from is one of {', '.join(_STARTS)}, not {start}")
    code = str(row["code"])
    if not 0 < len(code) <= 40:
        raise ValueError(f"{code}: a code has 1 to 40 characters")
    rule = Rule(code, timedelta(days=float(row["days"])), start, row["to"])
    if rule.audience == "checker" and not rule.unchecked:
        raise ValueError(f"{code}: to checker goes with from finished")
    if rule.unchecked and rule.offset < timedelta(0):
        raise ValueError(f"{code}: days from finished are not negative")
    return rule


def remind(now: datetime | None = None, wanted: Iterable[Rule] | None = None) -> int:
    """Send what is to be sent by now; how many reminders that were. Called again, it sends nothing twice."""
    now = now or timezone.now()
    known = list(rules() if wanted is None else wanted)
    ahead = max((-rule.offset for rule in known), default=timedelta(0)) + timedelta(days=1)
    wait = min((rule.offset for rule in known if rule.unchecked), default=None)
    owed_or_unchecked = Q(state__in=OWED, due_at__lt=now + ahead)
    if wait is not None:
        owed_or_unchecked |= Q(state=TaskState.FINISHED, finished_at__lte=now - wait)
    tasks = Task.objects.filter(owed_or_unchecked)
    sent = set(
        TaskReminder.objects.filter(task__in=tasks.order_by().values("pk")).values_list("task_id", "rule", "due_at")
    )
    count = 0
    for task in tasks.select_related("unit", "assignee"):
        due = [
            rule for rule in known if _applies(rule, task, now) and (task.pk, rule.code, rule.since(task)) not in sent
        ]
        if due:
            count += _send(task, due, now)
    return count


def _applies(rule: Rule, task: Task, now: datetime) -> bool:
    """Whether the rule's time has come. A reminder from before the task was given, or of a past due time, is void."""
    moment = rule.moment(task)
    if moment > now or rule.unchecked != (task.state == TaskState.FINISHED):
        return False
    return rule.unchecked or rule.overdue or (moment >= task.created_at and task.due_at > now)


def _send(task: Task, due: list[Rule], now: datetime) -> int:
    """Of several reminders to the same people only the latest is told, as after a stop of the worker."""
    count = 0
    with transaction.atomic():
        held = locked(Task, task.pk, None)
        if (held.state, held.due_at, held.finished_at) != (task.state, task.due_at, task.finished_at):
            return 0  # the next time looks at what it is now
        new = [
            rule
            for rule in due
            if TaskReminder.objects.get_or_create(
                task=task, rule=rule.code, due_at=rule.since(task), defaults={"sent_at": now}
            )[1]
        ]
        for audience in _AUDIENCES:
            told = [rule for rule in new if rule.audience == audience]
            if told:
                last = max(told, key=lambda rule: rule.moment(task))
                kind, text = _words(last)
                tell(held, _people(held, audience), kind, text, due=_day(last.since(task)))
                count += 1
    return count


def _words(rule: Rule) -> tuple[str, str]:
    """The kind of notice a rule makes, and its text."""
    if rule.unchecked:
        return "task.unchecked", UNCHECKED
    return ("task.overdue", OVERDUE) if rule.overdue else ("task.due_soon", SOON)


def _people(task: Task, audience: str) -> list[User]:
    if audience == "checker":
        return [each for each in checkers(task) if checks(each, task)]
    if audience == "standing_office":
        leader = task.incident.leader if task.incident else None
        return [*standing_office(), *([leader] if leader else [])]
    if audience == "chair":
        return chairs()
    return [*people_of(task.unit), *([task.assignee] if task.assignee else [])]


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "d/m/Y H:i")
