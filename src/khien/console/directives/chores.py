"""What the worker does for tasks."""

from __future__ import annotations

from datetime import timedelta

from khien.console.chores import Chore
from khien.console.directives.reminders import remind

CHORES = [Chore("task-reminders", timedelta(minutes=5), remind)]
