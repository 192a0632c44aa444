"""What people do with alerts: one, several, or all that match a filter."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.accounts.roles import roles_with
from khien.console.alerts import writing
from khien.console.alerts.linking import link_to_incident, unlink_from_incident
from khien.console.alerts.making import create_alert
from khien.console.alerts.models import Alert, Status, Verdict
from khien.console.alerts.undoing import undo
from khien.console.alerts.writing import Chosen, Done, Row
from khien.console.audit.services import record
from khien.console.notifications.services import notify
from khien.console.units.scoping import scope_ids

__all__ = [
    "assign", "close", "comment", "create_alert", "link_to_incident", "reopen", "set_status", "set_verdict", "undo",
    "unlink_from_incident",
]  # fmt: skip
MOST_TEXT = 10_000
_ASSIGNED_ONE = gettext_noop("%(name)s gave you an alert: %(title)s")
_ASSIGNED_MANY = gettext_noop("%(name)s gave you %(count)s alerts")


def assign(by: User, alerts: Chosen, owner: User | None) -> Done:
    """Give alerts to a person, who must see them and may work on them; None takes them from whoever has them.

    Who takes new alerts on begins to work on them.
    """
    demand(by, "alerts.work")
    if owner is not None and (not owner.is_active or owner.role not in roles_with("alerts.work")):
        raise ValidationError({"owner": _("%(name)s does not work on alerts.") % {"name": owner.name}})

    def check(rows: list[Row]) -> None:
        seen = scope_ids(owner) if owner is not None else None
        if seen is not None and any(row["unit_id"] not in seen for row in rows):
            raise ValidationError(
                {"owner": _("%(name)s does not see all of these alerts.") % {"name": owner.name if owner else ""}}
            )

    def changes(row: Row) -> Row:
        begins = owner is not None and owner.pk == by.pk and row["status"] == Status.NEW
        return {"owner_id": owner.pk if owner else None, **({"status": Status.IN_PROGRESS.value} if begins else {})}

    with transaction.atomic():
        data = {"owner": owner.pk if owner else None, "name": owner.name if owner else ""}
        done = writing.change(by, "assign", alerts, changes, data=data, check=check)
        if owner is not None and owner.pk != by.pk and done.ids:
            _tell(by, owner, done.ids)
    return done


def comment(by: User, alerts: Chosen, text: str) -> list[int]:
    """Say something about alerts; their ids."""
    demand(by, "alerts.work")
    text = text.strip()
    if not text:
        raise ValidationError({"text": _("Write something.")})
    if len(text) > MOST_TEXT:
        raise ValidationError({"text": _("The text is too long.")})
    with transaction.atomic():
        rows = writing.hold(by, writing.versions(alerts))
        if not rows:
            raise Alert.DoesNotExist
        ids = [row["id"] for row in rows]
        writing.remember(by, "comment", ids, text)
        target = Alert(pk=ids[0], title=rows[0]["title"]) if len(ids) == 1 else None
        record(by, "alert.comment", target, after={"text": text, "ids": ids})
    return ids


def set_status(by: User, alerts: Chosen, status: int) -> Done:
    """Set how far work is: new or in progress. Closing asks for a verdict: see `close`."""
    if status not in (Status.NEW, Status.IN_PROGRESS):
        raise ValidationError({"status": _("An alert is closed with a verdict.")})
    return writing.change(by, "status", alerts, lambda row: _open(row, status), data={"status": int(status)})


def close(by: User, alerts: Chosen, *, verdict: str, classification: str = "", reason: str = "") -> Done:
    """Close alerts with what they turned out to be. A false positive needs a reason. Raises ValidationError.

    The live service is told, so that findings to come begin a new alert.
    """
    new = _verdict(verdict, classification, reason)
    return writing.change(
        by,
        "close",
        alerts,
        lambda row: {"status": Status.CLOSED.value, **new},
        text=new["reason"],
        data={"verdict": new["verdict"], "classification": new["classification"]},
    )


def set_verdict(by: User, alerts: Chosen, *, verdict: str, classification: str = "", reason: str = "") -> Done:
    """Say what alerts turned out to be, whether closed or not. Raises ValidationError."""
    new = _verdict(verdict, classification, reason)
    return writing.change(
        by,
        "verdict",
        alerts,
        lambda row: new,
        text=new["reason"],
        data={"verdict": new["verdict"], "classification": new["classification"]},
    )


def reopen(by: User, alerts: Chosen, reason: str = "") -> Done:
    """Take closed alerts up again; their verdict goes."""

    def changes(row: Row) -> Row:
        return _open(row, Status.IN_PROGRESS) if row["status"] == Status.CLOSED else {}

    return writing.change(by, "reopen", alerts, changes, text=reason.strip()[:500])


def _open(row: Row, status: int) -> Row:
    """A status of work; what a closing said does not hold any more."""
    if row["status"] != Status.CLOSED:
        return {"status": int(status)}
    return {"status": int(status), "verdict": "", "classification": "", "reason": ""}


def _verdict(verdict: str, classification: str, reason: str) -> dict[str, Any]:
    from khien.console.incidents.catalogue import classes

    reason = reason.strip()
    if verdict not in Verdict.values or not verdict:
        raise ValidationError({"verdict": _("Choose a verdict.")})
    if verdict == Verdict.FALSE_POSITIVE and not reason:
        raise ValidationError({"reason": _("Say why it is a false positive: the next person learns from it.")})
    if len(reason) > 500:
        raise ValidationError({"reason": _("The reason is longer than 500 characters.")})
    if classification and classification not in {code for code, _label in classes()}:
        raise ValidationError({"classification": _("There is no such class.")})
    return {"verdict": str(verdict), "classification": classification, "reason": reason}


def _tell(by: User, owner: User, ids: list[int]) -> None:
    if len(ids) == 1:
        title = Alert.objects.get(pk=ids[0]).title
        try:
            url = reverse("alerts:detail", args=[ids[0]])
        except NoReverseMatch:
            url = reverse("alerts:queue")
        notify([owner], "alert.assigned", _ASSIGNED_ONE, {"name": by.name, "title": title[:120]}, url=url)
    else:
        url = f"{reverse('alerts:queue')}?tab=mine"
        notify([owner], "alert.assigned", _ASSIGNED_MANY, {"name": by.name, "count": str(len(ids))}, url=url)
