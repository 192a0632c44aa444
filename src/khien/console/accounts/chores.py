"""What the worker does for accounts."""

from __future__ import annotations

from datetime import timedelta

from khien.console.accounts.lockout import forget_old
from khien.console.accounts.sessions import forget_dead
from khien.console.chores import Chore

CHORES = [
    Chore("accounts.sessions", timedelta(hours=1), forget_dead),
    Chore("accounts.failures", timedelta(hours=6), forget_old),
]
