"""Chores of the upkeep itself."""

from __future__ import annotations

from datetime import timedelta

from django.core.management import call_command

from khien.console.chores import Chore
from khien.console.upkeep.jobs import forget_old


def forget_sessions() -> None:
    """Delete sessions that have run out."""
    call_command("clearsessions")


CHORES = [
    Chore("upkeep.forget_jobs", timedelta(hours=6), forget_old),
    Chore("upkeep.forget_sessions", timedelta(hours=6), forget_sessions),
]
