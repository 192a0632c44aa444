"""Sessions: how long they last, what is remembered of them, and ending them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.contrib.auth import logout
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from khien.console.accounts.access import demand
from khien.console.accounts.factors import PROVEN
from khien.console.accounts.middleware import LANGUAGE
from khien.console.accounts.models import User
from khien.console.audit.services import record

LONGEST = timedelta(hours=12)
"""A session ends then, whatever is done in it."""
IDLE = timedelta(hours=1)
"""Without a sign of the person for so long, a session of a privileged role ends."""
TOUCHED_EVERY = 60
"""Seconds; a page does not write who was seen more often."""
_BEGAN, _SEEN = "began", "seen"


def touch(request: HttpRequest, *, quiet: bool = False) -> bool:
    """Remember that the person is there; false when the session has ended by its age or by silence.

    `quiet`: the page asks by itself, such as a live stream, and is no sign of the person.
    """
    session, user, now = request.session, request.user, time.time()
    began, seen = session.get(_BEGAN), session.get(_SEEN)
    if began is None or seen is None:
        session[_BEGAN] = session[_SEEN] = now
        _see(request, user)
        return True
    if now - began > LONGEST.total_seconds():
        _expire(request, user, "age")
        return False
    if user.is_privileged and now - seen > IDLE.total_seconds():
        _expire(request, user, "idle")
        return False
    if not quiet and now - seen > TOUCHED_EVERY:
        session[_SEEN] = now
        _see(request, user)
    return True


def begin(request: HttpRequest) -> None:
    """A person has just signed in: the clocks start."""
    request.session[_BEGAN] = request.session[_SEEN] = time.time()
    User.objects.filter(pk=request.user.pk).update(seen_at=timezone.now())


def _expire(request: HttpRequest, user: User, why: str) -> None:
    record(user, "account.session_expire", user, after={"why": why})
    key, language = request.session.session_key, request.session.get(LANGUAGE)
    request.expired = True  # the sign-out that follows is no deed of the person
    logout(request)
    if language:
        request.session[LANGUAGE] = language
    UserSession.objects.filter(session_key=key).delete()


def _see(request: HttpRequest, user: User) -> None:
    User.objects.filter(pk=user.pk).update(seen_at=timezone.now())
    if request.session.session_key:
        UserSession.objects.create_from_request(request)


def sessions_of(user: User) -> list[UserSession]:
    """A person's sessions that are alive, the latest first."""
    return sorted(UserSession.objects.purge_and_list(user), key=lambda each: each.last_seen_at, reverse=True)


def end_session(by: User, owner: User, session_pk: int) -> bool:
    """End one session: one's own, or with `users.manage` that of somebody one sees; whether there was such a one."""
    if by.pk != owner.pk:
        demand(by, "users.manage")
    found = UserSession.objects.filter(user=owner, pk=session_pk).first()
    if found is None:
        return False
    _end(by, owner, [found])
    return True


def end_all_sessions(by: User, owner: User, *, but: str | None = None) -> int:
    """End all sessions of a person but the one with the key `but`; how many."""
    if by.pk != owner.pk:
        demand(by, "users.manage")
    return _end(by, owner, UserSession.objects.filter(user=owner).exclude(session_key=but or ""))


def end_unproven_sessions(owner: User, *, but: str | None) -> None:
    """A second factor was set up: sessions begun before with the password alone end."""
    others = UserSession.objects.filter(user=owner).exclude(session_key=but or "")
    _end(owner, owner, [each for each in others if not SessionStore(each.session_key).get(PROVEN)])


def _end(by: User, owner: User, sessions: Iterable[UserSession]) -> int:
    count = 0
    with transaction.atomic():
        for session in sessions:
            record(by, "account.session_end", owner, after={"address": session.ip, "agent": session.user_agent})
            session.end()
            count += 1
    return count


def forget_dead() -> int:
    """Sessions that have run out, and what was remembered of them."""
    SessionStore.clear_expired()
    count = 0
    stale = timezone.now() - LONGEST
    for session in UserSession.objects.filter(last_seen_at__lt=stale).iterator():
        count += session.purge()
    return count
