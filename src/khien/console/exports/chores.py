"""What the worker does for files it made: old ones go, and those nobody makes any more are told."""

from __future__ import annotations

import time
from datetime import timedelta

from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from khien.console.chores import Chore
from khien.console.exports.making import fail
from khien.console.exports.models import MadeFile, Reason
from khien.console.exports.services import folder, forget

_A_WHILE = timedelta(minutes=1)
_STRAY = 86_400.0


def forget_old() -> int:
    """Delete files that have run out, and bytes that belong to none; how many files."""
    count = 0
    for made in MadeFile.objects.filter(expires_at__lt=timezone.now()):
        forget(made)
        count += 1
    known = set(MadeFile.objects.exclude(place="").values_list("place", flat=True))
    for path in folder().glob("*"):
        if path.name not in known and path.stat().st_mtime < time.time() - _STRAY:
            path.unlink(missing_ok=True)
    return count


def tell_given_up() -> int:
    """Files whose job ended without them, since it ended several workers; how many."""
    count = 0
    for made in MadeFile.objects.unfinished().filter(asked_at__lt=timezone.now() - _A_WHILE):
        if not DBTaskResult.objects.filter(pk=made.job).exclude(status="FAILED").exists():
            count += fail(made, Reason.STOPPED)
    return count


CHORES = [
    Chore("exports.forget_old", timedelta(hours=1), forget_old),
    Chore("exports.tell_given_up", timedelta(minutes=1), tell_given_up),
]
