"""What the worker does for alerts again and again."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from khien.console.alerts import exceptions, feed
from khien.console.alerts.models import BulkAction
from khien.console.chores import Chore

KEEP_UNDO = timedelta(days=1)
FEED_WAITS = timedelta(seconds=3)
"""Alerts are to be on the screen at once: after an error, such as a locked database, the feed is soon there again."""


def forget_undo() -> None:
    """What was done to many alerts can be undone for seconds; what is kept for it goes after a day."""
    BulkAction.objects.filter(at__lt=timezone.now() - KEEP_UNDO).delete()


CHORES: list[Chore] = [
    Chore("alerts.exceptions", timedelta(minutes=5), exceptions.keep_exceptions),
    Chore("alerts.feed", timedelta(seconds=0.5), feed.run, FEED_WAITS),
    Chore("alerts.forget_undo", timedelta(hours=1), forget_undo),
]
