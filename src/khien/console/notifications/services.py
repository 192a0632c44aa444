"""Telling people, and what they do with what they are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import hold_trail, record
from khien.console.notifications.families import FAMILIES, MailMode
from khien.console.notifications.models import Mail, MailState, Notice
from khien.console.notifications.preferences import wishes_of

MOST_KEPT = 5_000
"""Notices kept of one person; older ones go."""
READ_KEPT, UNREAD_KEPT, MAILS_KEPT = timedelta(days=90), timedelta(days=365), timedelta(days=180)
_AT_ONCE = 2_000


def notify(
    people: Iterable[User],
    kind: str,
    text: str,
    params: Mapping[str, str] | None = None,
    *,
    url: str = "",
    urgent: bool = False,
    sensitive: Iterable[str] = (),
) -> None:
    """Tell people something, each once, in the transaction of what happened.

    `kind`: `thing.event`, what settings go by. `text`: a message id marked with `gettext_noop`, with
    `%(name)s` for each of `params`; it is translated for each reader. `urgent`: not held back by quiet hours.
    `sensitive`: names of params that mails must not carry, such as the title of what is TLP:RED.
    """
    chosen = {person.pk: person for person in people if person.is_active}
    if not chosen:
        return
    wishes = wishes_of(chosen)
    hidden = sorted(set(sensitive))
    notices = []
    for pk in chosen:
        shown = wishes[pk].shown(kind, urgent=urgent)
        mailed = wishes[pk].mail(kind) != MailMode.NONE
        if shown or mailed:
            notices.append(
                Notice(
                    user_id=pk,
                    kind=kind,
                    text=text,
                    params={name: str(value)[:500] for name, value in (params or {}).items()},
                    sensitive=hidden,
                    url=url,
                    urgent=urgent,
                    shown=shown,
                    mail_pending=mailed,
                )
            )
    Notice.objects.bulk_create(notices, batch_size=_AT_ONCE)


def mark_read(by: User, pk: int, *, read: bool = True) -> Notice:
    """Mark one of one's own notices as read, or as new again. Raises Notice.DoesNotExist."""
    demand(by, "notifications")
    notice = Notice.objects.visible_to(by).get(pk=pk)
    if (notice.read_at is not None) != read:
        notice.read_at = timezone.now() if read else None
        notice.save(update_fields=["read_at"])
    return notice


def mark_all_read(by: User, *, family: str = "", up_to: int | None = None) -> int:
    """Mark all of one's own as read, or those of a family, up to the one last seen; how many there were."""
    demand(by, "notifications")
    rows = of_family(Notice.objects.visible_to(by).filter(read_at__isnull=True), family)
    if up_to is not None:
        rows = rows.filter(pk__lte=up_to)
    return rows.update(read_at=timezone.now())


def of_family(rows, family: str):
    """The notices of a family; all of them for "" and for what is none."""
    if family not in FAMILIES:
        return rows
    if family == "other":
        named = Q()
        for name in (*FAMILIES.keys() - {"other"}, "session"):
            named |= Q(kind__startswith=f"{name}.")
        return rows.exclude(named)
    match = Q(kind__startswith=f"{family}.")
    if family == "directive":
        match |= Q(kind__startswith="session.")
    return rows.filter(match)


def try_again(by: User, pk: int) -> Mail:
    """Send a mail again that failed. Raises Mail.DoesNotExist."""
    demand(by, "settings.manage")
    with transaction.atomic():
        hold_trail()
        mail = Mail.objects.visible_to(by).select_for_update(of=("self",)).get(pk=pk)
        if mail.state == MailState.FAILED:
            mail.state, mail.next_try_at, mail.tries = MailState.WAITING, timezone.now(), 0
            mail.save(update_fields=["state", "next_try_at", "tries"])
            record(by, "mail.retry", mail, after={"to": mail.to, "error": mail.error})
    return mail


def forget_old() -> int:
    """Delete old notices and old mails, and of a person with very many the oldest; how many."""
    now = timezone.now()
    rows = Notice.objects.filter(mail_pending=False)
    old = Q(read_at__lt=now - READ_KEPT) | Q(created_at__lt=now - UNREAD_KEPT) | Q(shown=False)
    gone = _delete(rows.filter(old, created_at__lt=now - timedelta(days=2)))
    for pk in User.objects.filter(notices__isnull=False).distinct().values_list("pk", flat=True):
        last = Notice.objects.filter(user=pk).order_by("-pk").values_list("pk", flat=True)[MOST_KEPT : MOST_KEPT + 1]
        for threshold in list(last):
            gone += _delete(rows.filter(user=pk, pk__lte=threshold))
    return gone + _delete(Mail.objects.filter(created_at__lt=now - MAILS_KEPT).exclude(state=MailState.WAITING))


def _delete(rows) -> int:
    """Delete in portions, so that nobody waits long for the database."""
    gone = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:900]):
        gone += rows.model._default_manager.filter(pk__in=ids).delete()[0]
    return gone
