"""Chores of the notices and mails."""

from __future__ import annotations

from datetime import timedelta

from khien.console.chores import Chore
from khien.console.notifications.bundles import gather, release
from khien.console.notifications.outbox import send_waiting
from khien.console.notifications.services import forget_old


def bundle() -> None:
    """Notices into bundles, bundles into mails."""
    gather()
    release()


CHORES = [
    Chore("notifications.bundle", timedelta(seconds=5), bundle),
    Chore("notifications.send", timedelta(seconds=3), send_waiting),
    Chore("notifications.forget", timedelta(hours=1), forget_old),
]
