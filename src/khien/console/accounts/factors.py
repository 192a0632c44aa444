"""Second factors: forms that count wrong codes and take none twice, and what a session remembers of them."""

from __future__ import annotations

import time
from typing import Any

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.core import context
from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm as AllauthAuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as AllauthReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.mfa.utils import decrypt
from allauth.mfa.webauthn.forms import AddWebAuthnForm as AllauthAddWebAuthnForm
from allauth.mfa.webauthn.forms import (
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from khien.console.accounts import lockout
from khien.console.frame.forms import dress

PROVEN = "second_factor"
"""What a session remembers when its person has shown a second factor in it."""


def _code_field(form: forms.Form, label: Promise) -> None:
    field = form.fields["code"]
    field.label = label
    field.widget.attrs.pop("placeholder", None)
    field.widget.attrs.update(autofocus=True, autocapitalize="off", spellcheck="false", maxlength="20")
    dress(form)


class _Guarded:
    """A wrong code counts like a wrong password; a code of an app opens once, whatever process looks at it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _code_field(self, _("Code from the app, or a recovery code"))

    def clean_code(self) -> str:
        adapter = get_account_adapter()
        attempt = lockout.attempt(self.user.email, adapter.get_client_ip(context.request))
        if attempt is None:
            raise adapter.validation_error("too_many_login_attempts")
        try:
            code: str = super().clean_code()
            if self.authenticator.type == Authenticator.Type.TOTP and not _first_use(self.authenticator, code):
                raise get_adapter().validation_error("incorrect_code")
        except Exception:
            lockout.failed(self.user.email)
            raise
        attempt.succeeded()
        return code


def _first_use(authenticator: Authenticator, code: str) -> bool:
    """Remember the time step of a code; false when that or a later one was used before (RFC 6238, 5.2)."""
    now = int(time.time()) // app_settings.TOTP_PERIOD
    secret = decrypt(authenticator.data["secret"])
    tolerance = app_settings.TOTP_TOLERANCE
    given = "".join(code.split()).replace("-", "")
    steps = [
        step
        for step in range(now - tolerance, now + tolerance + 1)
        if format_hotp_value(hotp_value(secret, step)) == given
    ]
    with transaction.atomic():
        held = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
        used = held.data.get("last_step", -1)
        fresh = [step for step in steps if step > used]
        if not fresh:
            return False
        held.data["last_step"] = fresh[0]
        held.save(update_fields=["data"])
        authenticator.data = held.data
    return True


class AuthenticateForm(_Guarded, AllauthAuthenticateForm):
    """The second step of signing in."""


class ReauthenticateForm(_Guarded, AllauthReauthenticateForm):
    """Proving oneself again before something grave."""


class ActivateAppForm(ActivateTOTPForm):
    """The first code of an app shows that it has the secret."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _code_field(self, _("Code from the app"))
        self.fields["code"].widget.attrs.update(inputmode="numeric")


class _Hardened:
    """What is no credential at all is a wrong one, not a failure of the console."""

    def clean_credential(self) -> Any:
        try:
            return super().clean_credential()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise get_adapter().validation_error("incorrect_code") from error


class AuthenticateKeyForm(_Hardened, AuthenticateWebAuthnForm):
    """The second step of signing in, by a security key."""


class LoginKeyForm(_Hardened, LoginWebAuthnForm):
    """Signing in by a passkey alone."""


class ReauthenticateKeyForm(_Hardened, ReauthenticateWebAuthnForm):
    """Proving oneself again by a security key."""


class EditKeyForm(EditWebAuthnForm):
    """Another name for a security key."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = _("Name of the key")
        self.fields["name"].max_length = 80
        dress(self)


class AddKeyForm(AllauthAddWebAuthnForm):
    """A security key or passkey, with a name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = _("Name of the key")
        self.fields["name"].max_length = 80
        self.fields["passwordless"].label = _("Sign in with this key alone, without a password")
        self.fields["passwordless"].help_text = _("The key then asks for a fingerprint, a face or a PIN each time.")
        self.fields["passwordless"].initial = True
        dress(self)

    def clean(self) -> dict[str, Any]:
        try:
            data: dict[str, Any] = super().clean()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise get_adapter().validation_error("incorrect_code") from error
        return data
