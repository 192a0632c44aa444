"""Reads of the trail for other parts of the console."""

from __future__ import annotations

from django.db import models

from khien.console.accounts.models import User
from khien.console.audit.models import Entry

MOST = 200


def history_of(user: User, target: models.Model, most: int = MOST) -> list[Entry]:
    """What happened to a thing, the latest first; the caller has read the thing by `visible_to`.

    For `{% include "audit/parts/history.html" with entries=... %}`. From where it was done stands in it for those only
    who may open the audit trail.
    """
    found = list(Entry.objects.of_target(target).order_by("-number")[:most])
    if not user.may("audit.view"):
        for entry in found:
            entry.address = entry.agent = ""
    return found
