"""What tests of accounts share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from allauth.mfa.totp.internal.auth import TOTP as Totp
from allauth.mfa.totp.internal.auth import format_hotp_value, generate_totp_secret, hotp_value
from django.core.cache import cache

from khien.console.accounts import mail
from khien.console.accounts.models import User


@pytest.fixture(autouse=True)
def fresh_limits() -> Iterator[None]:
    """Rate limits begin anew, and mails are sent before a test ends."""
    cache.clear()
    yield
    mail.wait()


@pytest.fixture
def totp():
    """`totp(user)` sets an app up and gives `code(step)`: its code now, or some steps away."""
    import time

    def set_up(user: User):
        secret = generate_totp_secret()
        Totp.activate(user, secret)
        return lambda step=0: format_hotp_value(hotp_value(secret, int(time.time()) // 30 + step))

    return set_up
