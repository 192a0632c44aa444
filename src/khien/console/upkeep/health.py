"""Whether the console's own work goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from khien.console.upkeep.lease import NAME
from khien.console.upkeep.models import ChoreRun, Lease

_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class ChoreHealth:
    """A chore's last run and what is wrong with it: "", "failing" or "late"."""

    run: ChoreRun
    problem: str


def worker() -> Lease | None:
    """The lease of the worker at work; None where none works."""
    return Lease.objects.filter(name=NAME, until__gt=timezone.now()).exclude(holder="").first()


def chores() -> list[ChoreHealth]:
    """Every chore, those with problems first."""
    now = timezone.now()
    found = []
    for run in ChoreRun.objects.all():
        limit = timedelta(seconds=max(_PATIENCE, 3 * run.every))
        last = run.ended_at or run.started_at
        problem = "failing" if run.failures else "late" if last is None or now - last > limit else ""
        found.append(ChoreHealth(run, problem))
    return sorted(found, key=lambda each: (not each.problem, each.run.name))
