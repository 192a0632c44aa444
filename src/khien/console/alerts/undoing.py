"""Taking back what was just done to alerts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.alerts import writing
from khien.console.alerts.models import BulkAction
from khien.console.alerts.writing import Done
from khien.console.audit.services import hold_trail, record

WITHIN = timedelta(seconds=60)
"""Pages offer it for ten seconds; a slow network gets the rest."""


def undo(by: User, action: int) -> Done:
    """Take back what the person has just done; alerts that somebody changed since then stay as they are.

    Raises ValidationError when it is too late or was undone, BulkAction.DoesNotExist for what is not theirs.
    """
    demand(by, "alerts.work")
    with transaction.atomic():
        hold_trail()
        kept = BulkAction.objects.select_for_update().get(pk=action, by=by)
        if kept.undone_at is not None or timezone.now() - kept.at > WITHIN:
            raise ValidationError(_("It is too late to undo this."))
        before = {pk: (version, values) for pk, version, values in kept.rows}
        rows = writing.hold(by, before)
        mine = [row for row in rows if row["version"] == before[row["id"]][0]]
        writing.write([(row, dict(zip(kept.fields, before[row["id"]][1], strict=True))) for row in mine])
        ids = [row["id"] for row in mine]
        writing.remember(by, "undo", ids, data={"undone": kept.kind})
        kept.undone_at = timezone.now()
        kept.save(update_fields=["undone_at"])
        record(by, "alert.undo", after={"undone": kept.kind, "ids": ids})
    return Done(ids, _others(before, ids))


def _others(before: dict[int, tuple[int, list[object]]], ids: Sequence[int]) -> list[int]:
    done = set(ids)
    return [pk for pk in before if pk not in done]
