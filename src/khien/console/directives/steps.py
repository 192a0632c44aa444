"""What can be done with a task next, and by what words."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.models import User
from khien.console.directives.models import OPEN, OWED, Task, TaskState
from khien.console.directives.rights import checks, handles


@dataclass(frozen=True, slots=True)
class Next:
    """The next step of a task for a person. `at_once`: its button does it; else its form is on the task's page."""

    action: str
    label: Promise
    icon: str
    at_once: bool = False


_CHECK = Next("confirm", _("Check"), "clipboard-check")
_DECIDE = Next("grant", _("Decide on more time"), "calendar-question")
_ACCEPT = Next("accept", _("Accept"), "check", at_once=True)
_GO_ON = Next("report", _("See what is missing"), "arrow-back-up")
_REPORT = Next("report", _("Report progress"), "progress")
_LOOK = Next("", _("Look at it"), "arrow-right")


def next_step(user: User, task: Task) -> Next:
    """What the person does next with a task."""
    if checks(user, task):
        if task.state == TaskState.FINISHED:
            return _CHECK
        if task.state in OWED and task.wanted_due_at:
            return _DECIDE
    if handles(user, task):
        if task.state == TaskState.SENT:
            return _ACCEPT
        if task.state == TaskState.ACCEPTED:
            return _GO_ON if task.sent_back else _REPORT
    return _LOOK


def actions(user: User, task: Task) -> list[str]:
    """The steps a person can take with a task now, the usual ones first."""
    found = []
    if checks(user, task):
        if task.state == TaskState.FINISHED:
            found += ["confirm", "send_back"]
        if task.state in OWED and task.wanted_due_at:
            found += ["grant", "refuse"]
    if handles(user, task):
        if task.state == TaskState.SENT:
            found += ["accept"]
        if task.state == TaskState.ACCEPTED:
            found += ["report", "finish"]
        if task.state in OWED:
            found += ["assign", "more_time"]
    if checks(user, task) and task.state in OPEN:
        found += ["cancel"] if task.directive_id else ["due", "cancel"]
    return found
