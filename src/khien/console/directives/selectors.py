"""Reads of sessions, directives and tasks."""

from __future__ import annotations

from khien.console.accounts.models import User
from khien.console.directives.models import Task, TaskQuerySet
from khien.console.incidents.models import Incident


def shown(tasks: TaskQuerySet) -> TaskQuerySet:
    """With what a line of a list names."""
    return tasks.select_related("unit", "assignee", "incident", "directive", "directive__conclusion__session")


def tasks_of_incident(user: User, incident: Incident) -> TaskQuerySet:
    """The tasks of an incident that a person sees, those due first on top."""
    return shown(Task.objects.visible_to(user).filter(incident=incident))
