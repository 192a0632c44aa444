"""Reminding before tasks are due, and escalating after: each reminder once for a due time."""

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
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_noop

from khien.console.accounts.models import User
from khien.console.concurrency import locked
from khien.console.directives.models import OWED, Task, TaskReminder
from khien.console.directives.rights import chairs, people_of, standing_office
from khien.console.directives.tasks import tell

HERE = Path(__file__).resolve().parent
_AUDIENCES = ("unit", "standing_office", "chair")
SOON = gettext_noop("Due %(due)s: %(task)s (%(unit)s)")
OVERDUE = gettext_noop("Overdue since %(due)s: %(task)s (%(unit)s)")


@dataclass(frozen=True, slots=True)
class Rule:
    """When a reminder is sent, and to whom. `whole_day`: counted from midnight of the day the task is due."""

    code: str
    offset: timedelta
    whole_day: bool
    audience: str

    def moment(self, due_at: datetime) -> datetime:
        """When it is sent for a due time."""
        if self.whole_day:
            due_at = timezone.localtime(due_at).replace(hour=0, minute=0, second=0, microsecond=0)
        return due_at + self.offset

    @property
    def after(self) -> bool:
        """Whether it tells of an overdue task."""
        return not self.whole_day and self.offset >= timedelta(0)


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
    if row.get("from", "due") not in ("due", "day"):
        raise ValueError(f"{row['code']}: from is due or day, not {row['from']}")
    code = str(row["code"])
    if not 0 < len(code) <= 40:
        raise ValueError(f"{code}: a code has 1 to 40 characters")
    return Rule(code, timedelta(days=float(row["days"])), row.get("from") == "day", row["to"])


def remind(now: datetime | None = None, wanted: Iterable[Rule] | None = None) -> int:
    """Send what is to be sent by now; how many reminders that were. Called again, it sends nothing twice."""
    now = now or timezone.now()
    known = list(rules() if wanted is None else wanted)
    ahead = max((-rule.offset for rule in known), default=timedelta(0)) + timedelta(days=1)
    tasks = Task.objects.filter(state__in=OWED, due_at__lt=now + ahead)
    sent = set(
        TaskReminder.objects.filter(task__in=tasks.order_by().values("pk")).values_list("task_id", "rule", "due_at")
    )
    count = 0
    for task in tasks.select_related("unit", "assignee"):
        due = [rule for rule in known if _applies(rule, task, now) and (task.pk, rule.code, task.due_at) not in sent]
        if due:
            count += _send(task, due, now)
    return count


def _applies(rule: Rule, task: Task, now: datetime) -> bool:
    """Whether the rule's time has come. A reminder from before the task was given, or of a past due time, is void."""
    moment = rule.moment(task.due_at)
    if moment > now:
        return False
    return rule.after or (moment >= task.created_at and task.due_at > now)


def _send(task: Task, due: list[Rule], now: datetime) -> int:
    """Of several reminders to the same people only the latest is told, as after a stop of the worker."""
    count = 0
    with transaction.atomic():
        held = locked(Task, task.pk, None)
        if held.state not in OWED or held.due_at != task.due_at:
            return 0
        new = [
            rule
            for rule in due
            if TaskReminder.objects.get_or_create(
                task=task, rule=rule.code, due_at=task.due_at, defaults={"sent_at": now}
            )[1]
        ]
        for audience in _AUDIENCES:
            told = [rule for rule in new if rule.audience == audience]
            if told:
                last = max(told, key=lambda rule: rule.moment(task.due_at))
                kind, text = ("task.overdue", OVERDUE) if last.after else ("task.due_soon", SOON)
                tell(task, _people(task, audience), kind, text, due=_day(task.due_at))
                count += 1
    return count


def _people(task: Task, audience: str) -> list[User]:
    if audience == "standing_office":
        leader = task.incident.leader if task.incident else None
        return [*standing_office(), *([leader] if leader else [])]
    if audience == "chair":
        return chairs()
    return [*people_of(task.unit), *([task.assignee] if task.assignee else [])]


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "d/m/Y H:i")
