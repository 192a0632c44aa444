"""What the API does again and again: webhooks, and forgetting."""

from __future__ import annotations

from datetime import timedelta

from khien.console.api import idempotency, webhooks
from khien.console.api.presenting import present
from khien.console.chores import Chore


def tell_webhooks() -> int:
    """Look for what has happened, and send what is due."""
    webhooks.collect(present)
    return webhooks.deliver()


def forget() -> int:
    """Old answers and old deliveries."""
    return idempotency.forget_old() + webhooks.forget_old()


CHORES = [
    Chore("webhooks", timedelta(seconds=2), tell_webhooks),
    Chore("api-forget", timedelta(hours=1), forget),
]
