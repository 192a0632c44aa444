"""What happens around signing in: written to the audit trail, and remembered in the session."""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account_signals
from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa import signals as mfa_signals
from allauth.mfa.models import Authenticator
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver

from khien.console.accounts import lockout, sessions
from khien.console.accounts.factors import PROVEN
from khien.console.accounts.middleware import LANGUAGE, proven_by
from khien.console.audit.services import record


@receiver(account_signals.user_logged_in)
def signed_in(request: Any, user: Any, **_rest: Any) -> None:
    """All steps are done."""
    records = get_authentication_records(request, user)
    request.session.pop(PROVEN, None)
    if proven_by(request, user):
        request.session[PROVEN] = True
    request.session.setdefault(LANGUAGE, user.language)
    sessions.begin(request)
    lockout.clear(user.email)
    how = [each.get("type") or each.get("method", "") for each in records]
    record(user, "account.sign_in", user, after={"how": list(dict.fromkeys(how))})


@receiver(user_logged_out)
def signed_out(request: Any, user: Any, **_rest: Any) -> None:
    """By the person's own will; a session that ran out is recorded as that."""
    if user is not None and request is not None and not getattr(request, "expired", False):
        record(user, "account.sign_out", user)


@receiver(account_signals.password_changed)
def password_changed(request: Any, user: Any, **_rest: Any) -> None:
    """Other sessions end with it."""
    record(user, "account.password_change", user)
    sessions.end_all_sessions(user, user, but=request.session.session_key)


@receiver(account_signals.password_reset)
def password_reset(request: Any, user: Any, **_rest: Any) -> None:
    """All sessions end with it, and so does a lock: the person reads the mail of the account."""
    record(user, "account.password_reset", user)
    sessions.end_all_sessions(user, user)
    lockout.clear(user.email)


@receiver(mfa_signals.authentication_failed)
def factor_failed(request: Any, user: Any, authenticator: Any, **_rest: Any) -> None:
    """A wrong code; it is counted where it was looked at."""
    record(None, "account.sign_in_failed", user, actor_name=user.email, after={"what": authenticator.type})


@receiver(mfa_signals.authenticator_used)
def factor_used(request: Any, user: Any, authenticator: Any, **_rest: Any) -> None:
    """Shown in a session that is signed in: it counts from now on. During signing in, `signed_in` sees to that."""
    if request.user.is_authenticated and request.user.pk == user.pk:
        request.session[PROVEN] = True
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        left = len(authenticator.wrap().get_unused_codes())
        record(user, "factor.recovery_code", user, after={"left": left})


@receiver(mfa_signals.authenticator_added)
def factor_added(request: Any, user: Any, authenticator: Any, **_rest: Any) -> None:
    """Set up in this session by somebody who proved to be the person."""
    record(user, "factor.add", user, after={"type": authenticator.type, "name": str(authenticator)})
    if authenticator.type != Authenticator.Type.RECOVERY_CODES and request.user.is_authenticated:
        request.session[PROVEN] = True
        sessions.end_unproven_sessions(user, but=request.session.session_key)


@receiver(mfa_signals.authenticator_removed)
def factor_removed(request: Any, user: Any, authenticator: Any, **_rest: Any) -> None:
    """The session goes on; where none is left, a privileged role has to set one up."""
    from khien.console.accounts.adapter import has_second_factor

    record(user, "factor.remove", user, before={"type": authenticator.type, "name": str(authenticator)})
    if not has_second_factor(user):
        request.session.pop(PROVEN, None)


@receiver(mfa_signals.authenticator_reset)
def factor_renewed(request: Any, user: Any, authenticator: Any, **_rest: Any) -> None:
    """New recovery codes; the old ones are worth nothing."""
    record(user, "factor.renew", user, after={"type": authenticator.type})
