"""Guessing is made slow: after five wrong passwords or codes an account is locked for a while, and so is an address.

An attempt is counted before the password is looked at and taken back when it was right, so many at once gain nothing.
It goes by the e-mail as typed: one that nobody has is locked as well, and nobody learns who has an account.
A passkey, which cannot be guessed, still opens a locked account.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from khien.console.accounts import mail
from khien.console.accounts.access import demand
from khien.console.accounts.models import Lockout, LoginFailure, User
from khien.console.accounts.roles import roles_with
from khien.console.audit.services import record
from khien.console.notifications.services import notify

ATTEMPTS = 5
"""Wrong ones for an e-mail within WINDOW until it is locked."""
ADDRESS_ATTEMPTS = 50
"""Wrong ones from an address within WINDOW until it is refused; a whole agency may share one."""
WINDOW = timedelta(minutes=15)
FIRST_LOCK = timedelta(minutes=15)
LONGEST_LOCK = timedelta(hours=24)
FORGIVEN = timedelta(hours=24)
"""After so long without a lock the next one is short again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that was let through; `succeeded` takes it back."""

    failure: LoginFailure

    def succeeded(self) -> None:
        self.failure.delete()


def key_of(email: str) -> str:
    """What an e-mail is counted under."""
    return email.strip().lower()[:254]


def attempt(email: str, address: str) -> Attempt | None:
    """Count a try; None when the account is locked or the address refused, and the password is not to be looked at."""
    email, now = key_of(email), timezone.now()
    with transaction.atomic():
        lock = Lockout.objects.select_for_update().get_or_create(email=email)[0]
        if lock.until and lock.until > now:
            return None
        since = now - WINDOW
        if LoginFailure.objects.filter(address=address, at__gt=since).count() >= ADDRESS_ATTEMPTS:
            return None
        if _count(lock, now) >= ATTEMPTS:  # as many are being looked at this moment
            return None
        return Attempt(LoginFailure.objects.create(email=email, address=address, at=now))


def failed(email: str) -> Lockout | None:
    """A try was wrong; the lock, when it was one too many. The person and the administrators are told."""
    email, now = key_of(email), timezone.now()
    with transaction.atomic():
        lock = Lockout.objects.select_for_update().get_or_create(email=email)[0]
        if lock.until and lock.until > now:
            return None
        if _count(lock, now) < ATTEMPTS:
            return None
        lock.times = 1 if now - lock.at > FORGIVEN else lock.times + 1
        lock.until = now + min(FIRST_LOCK * 2 ** min(lock.times - 1, 10), LONGEST_LOCK)
        lock.at = now
        lock.save()
        user = User.objects.filter(email=email, is_active=True).first()
        record(None, "account.lock", user, actor_name=email, after={"until": lock.until, "times": lock.times})
    if user is not None:
        _tell(user, lock)
    return lock


def _count(lock: Lockout, now: datetime) -> int:
    """Tries for an e-mail within WINDOW, since the last lock."""
    since = max(now - WINDOW, lock.until or now - WINDOW)
    return LoginFailure.objects.filter(email=lock.email, at__gt=since).count()


def clear(email: str) -> None:
    """The person is in: earlier failures are forgotten."""
    LoginFailure.objects.filter(email=key_of(email)).delete()
    Lockout.objects.filter(email=key_of(email)).update(until=None, times=0)


def unlock(by: User, user: User) -> bool:
    """An administrator lets somebody try again; whether there was a lock."""
    demand(by, "users.manage")
    with transaction.atomic():
        lock = Lockout.objects.select_for_update().filter(email=user.email, until__gt=timezone.now()).first()
        if lock is None:
            return False
        before = lock.until
        clear(user.email)
        record(by, "account.unlock", user, before={"until": before})
    return True


def locked_until(user: User) -> object:
    """Until when a person's account is locked; None when it is not."""
    return Lockout.objects.filter(email=user.email, until__gt=timezone.now()).values_list("until", flat=True).first()


def is_locked() -> Exists:
    """For queries of users: whether each is locked now."""
    return Exists(Lockout.objects.filter(email=OuterRef("email"), until__gt=timezone.now()))


def _tell(user: User, lock: Lockout) -> None:
    mail.send(user, "account_locked", {"until": lock.until})
    managers: QuerySet[User] = User.objects.filter(role__in=roles_with("users.manage"), is_active=True)
    notify(
        [each for each in managers if each.pk != user.pk and User.objects.visible_to(each).filter(pk=user.pk).exists()],
        "account.lock",
        gettext_noop("The account of %(name)s was locked after failed sign-ins."),
        {"name": str(user)},
        url=f"/account/people/{user.pk}/",
        urgent=True,
    )


def forget_old() -> int:
    """Failures and locks that no longer count."""
    old = timezone.now() - timedelta(days=30)
    failures = LoginFailure.objects.filter(at__lt=timezone.now() - timedelta(days=2)).delete()[0]
    return failures + Lockout.objects.filter(Q(until=None) | Q(until__lt=old), at__lt=old).delete()[0]
