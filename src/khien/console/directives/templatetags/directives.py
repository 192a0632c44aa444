"""How states of tasks are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from khien.console.directives.models import Task, TaskState

register = template.Library()
ORDER = ("overdue", "sent", "accepted", "finished", "done")
"""States in the order of bars; an overdue task is in no other."""


def word(state: str) -> str:
    """The word for a state of a bar."""
    return _("Overdue") if state == "overdue" else str(TaskState(state).label)


def shade(task: Task) -> str:
    """A task's state in a bar."""
    return "overdue" if task.overdue else str(task.state)


@register.filter
def task_state(task: Task) -> SafeString:
    """A task's state as a word; overdue beside it, where it is."""
    kinds = {TaskState.DONE: "state-done", TaskState.ACCEPTED: "state-active", TaskState.FINISHED: "state-active"}
    badge = format_html('<span class="state {}">{}</span>', kinds.get(task.state, ""), task.get_state_display())  # type: ignore[call-overload]
    if task.overdue:
        badge = format_html('{} <span class="state state-overdue">{}</span>', badge, _("Overdue"))
    elif task.sent_back and task.state == TaskState.ACCEPTED:
        badge = format_html('{} <span class="state di-back">{}</span>', badge, _("Sent back"))
    return badge


@register.filter
def bar_of(tasks: Iterable[Task]) -> list[dict[str, Any]]:
    """The bar of a directive: its tasks by state, with how many each state has."""
    found: dict[str, list[Task]] = {}
    for task in tasks:
        found.setdefault(shade(task), []).append(task)
    return [{"state": state, "word": word(state), "tasks": found[state]} for state in ORDER if state in found]


@register.filter
def segments(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """A stacked bar of counts, 100 wide: where each state begins and how wide it is."""
    found, x, total = [], 0.0, sum(row[state] for state in ORDER) or 1
    for state in ORDER:
        width = 100 * row[state] / total
        if width:
            found.append({"state": state, "x": f"{x:.3f}", "width": f"{width:.3f}"})
        x += width
    return found


@register.filter
def state_word(state: str) -> str:
    """The word for a state of a bar."""
    return word(state)
