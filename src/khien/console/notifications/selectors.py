"""Reading notices and mails."""

from __future__ import annotations

from django.db.models import QuerySet

from khien.console.accounts.models import User
from khien.console.notifications.families import family_of
from khien.console.notifications.models import Mail, MailState, Notice
from khien.console.notifications.services import of_family

MOST_COUNTED = 100


def unread_count(user: User) -> int:
    """How many of one's notices are new; beyond `MOST_COUNTED` it is not counted."""
    return Notice.objects.visible_to(user).filter(read_at__isnull=True)[:MOST_COUNTED].count()


def notices(user: User, *, family: str = "", unread: bool = False) -> QuerySet[Notice]:
    """One's notices, newest first."""
    rows = of_family(Notice.objects.visible_to(user), family)
    return rows.filter(read_at__isnull=True) if unread else rows


def with_families(rows: list[Notice]) -> list[dict[str, object]]:
    """Notices with what a list shows of their family."""
    return [{"notice": each, "family": family_of(each.kind)} for each in rows]


def mails(user: User, *, state: str = "", text: str = "") -> QuerySet[Mail]:
    """The delivery log that a person sees, newest first."""
    rows = Mail.objects.visible_to(user).select_related("user").defer("text", "html")
    if state in MailState.values:
        rows = rows.filter(state=state)
    return rows.filter(to__icontains=text) if text else rows
