"""Sessions, directives and tasks in the API, by what one does with them."""

from __future__ import annotations

from khien.console.directives.api.agenda import agenda
from khien.console.directives.api.amending import amending
from khien.console.directives.api.attendance import attendance
from khien.console.directives.api.directives import directives
from khien.console.directives.api.minutes import minutes
from khien.console.directives.api.sessions import sessions
from khien.console.directives.api.steps import steps
from khien.console.directives.api.tasks import tasks
from khien.console.directives.api.work import work

TASKS = (tasks, steps, work)
"""All below /tasks."""
DIRECTIVES = (directives, amending)
"""All below /directives."""
SESSIONS = (sessions, agenda, attendance, minutes)
"""All below /sessions."""
