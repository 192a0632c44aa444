"""What a person wants to be told, by which way, and when not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import hold_trail, record
from khien.console.notifications.families import FAMILIES, MailMode, family_of
from khien.console.notifications.models import Preferences


@dataclass(frozen=True, slots=True)
class Wishes:
    """A person's preferences, with the defaults filled in."""

    choices: dict[str, Any]
    quiet_from: time | None = None
    quiet_until: time | None = None
    digest_at: time = time(7, 30)

    def shown(self, kind: str, *, urgent: bool = False) -> bool:
        """Whether a notice of the kind stands in the console; an urgent one always does."""
        return urgent or bool(self.choices.get(family_of(kind).name, {}).get("console", True))

    def mail(self, kind: str) -> MailMode:
        """How a notice of the kind comes by mail."""
        family = family_of(kind)
        return MailMode(self.choices.get(family.name, {}).get("mail", family.mail))

    def quiet_end(self, at: datetime) -> datetime | None:
        """When the quiet hours end that `at` lies in; None outside of them."""
        begin, end = self.quiet_from, self.quiet_until
        if begin is None or end is None or begin == end:
            return None
        local = timezone.localtime(at)
        now = local.time()
        over_midnight = begin > end
        inside = now >= begin or now < end if over_midnight else begin <= now < end
        if not inside:
            return None
        ends = local.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
        return ends + timedelta(days=1) if over_midnight and now >= begin else ends

    def next_hour(self, at: datetime) -> datetime:
        """When the hourly digest goes out that takes in what comes at `at`."""
        full = timezone.localtime(at).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return self.quiet_end(full) or full

    def next_day(self, at: datetime) -> datetime:
        """When the daily digest goes out that takes in what comes at `at`."""
        local = timezone.localtime(at)
        due = local.replace(hour=self.digest_at.hour, minute=self.digest_at.minute, second=0, microsecond=0)
        return due if due > local else due + timedelta(days=1)


DEFAULT = Wishes({})


def wishes_of(people: Iterable[int]) -> dict[int, Wishes]:
    """The wishes of people by their ids, in one query."""
    ids = list(people)
    found = {
        each.user_id: Wishes(each.choices, each.quiet_from, each.quiet_until, each.digest_at)
        for each in Preferences.objects.filter(user__in=ids)
    }
    return {pk: found.get(pk, DEFAULT) for pk in ids}


def save_preferences(
    by: User,
    choices: dict[str, dict[str, Any]],
    *,
    quiet_from: time | None = None,
    quiet_until: time | None = None,
    digest_at: time = time(7, 30),
) -> Preferences:
    """Keep a person's own preferences."""
    demand(by, "notifications")
    kept = {
        name: {"console": bool(each.get("console", True)), "mail": MailMode(each.get("mail", FAMILIES[name].mail))}
        for name, each in choices.items()
        if name in FAMILIES
    }
    after = {"choices": kept, "quiet_from": quiet_from, "quiet_until": quiet_until, "digest_at": digest_at}
    with transaction.atomic():
        hold_trail()
        held = Preferences.objects.select_for_update().filter(user=by).first()
        before = {name: getattr(held, name) for name in after} if held is not None else None
        made = Preferences.objects.update_or_create(user=by, defaults=after)[0]
        if before != after:
            record(by, "preferences.change", by, before=before, after=after)
    return made
