"""The second factor of the sample's people, for who looks at the sample without an authenticator app."""

from __future__ import annotations

import time

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from khien.console.sample.province import DOMAIN, Login, known_logins, logins_file

PERIOD = 30


def current_code(secret: str, now: float | None = None) -> tuple[str, int]:
    """The code of a secret, and for how many seconds more it is good."""
    now = time.time() if now is None else now
    return format_hotp_value(hotp_value(secret, int(now) // PERIOD)), PERIOD - int(now) % PERIOD


def login_of(email: str) -> Login | None:
    """The sample login with an e-mail, or with the part of it before the @."""
    if not logins_file().exists():
        return None
    wanted = email.strip().lower()
    return next((each for each in known_logins() if each.email in (wanted, f"{wanted}@{DOMAIN}")), None)


def otpauth(login: Login) -> str:
    """The address that an authenticator app reads."""
    return f"otpauth://totp/Khien:{login.email}?secret={login.secret}&issuer=Khien"
