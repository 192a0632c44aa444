"""What the worker does for the audit trail."""

from __future__ import annotations

from datetime import timedelta

from khien.console.audit.anchors import drop_anchor
from khien.console.chores import Chore

CHORES = [Chore("audit.anchor", timedelta(minutes=10), drop_anchor)]
