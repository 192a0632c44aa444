"""Families of notices: what people choose by. A kind `alert.assigned` is of the family `alert`."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class MailMode(models.TextChoices):
    """How a family's notices come by mail."""

    ONCE = "once", _("At once")
    HOURLY = "hourly", _("Every hour")
    DAILY = "daily", _("Once a day")
    NONE = "none", _("Never")


@dataclass(frozen=True, slots=True)
class Family:
    """`mail`: how it comes where the person has not chosen."""

    name: str
    label: Promise
    icon: str
    mail: MailMode


OTHER = Family("other", _("Other"), "bell", MailMode.ONCE)
FAMILIES = {
    each.name: each
    for each in (
        Family("alert", _("Alerts"), "bell-ringing", MailMode.HOURLY),
        Family("incident", _("Incidents"), "urgent", MailMode.ONCE),
        Family("clock", _("Legal deadlines"), "clock-exclamation", MailMode.ONCE),
        Family("task", _("Tasks"), "checklist", MailMode.ONCE),
        Family("directive", _("Directives and sessions"), "gavel", MailMode.ONCE),
        Family("account", _("My account"), "user-circle", MailMode.ONCE),
        OTHER,
    )
}


def family_of(kind: str) -> Family:
    """The family of a kind; kinds of no known family are `other`."""
    name = kind.partition(".")[0]
    return FAMILIES.get("directive" if name == "session" else name, OTHER)
