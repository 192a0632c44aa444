"""allauth's forms of signing in and passwords, in the console's dress and words."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as allauth_forms
from django.contrib.auth.password_validation import password_validators_help_text_html
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from khien.console.frame.forms import dress

_LABELS: dict[str, Promise] = {
    "login": _("E-mail"),
    "email": _("E-mail"),
    "password": _("Password"),
    "oldpassword": _("Current password"),
    "password1": _("New password"),
    "password2": _("New password, once more"),
}


class _Dressed:
    """Labels of our own above the fields; no words inside them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = _LABELS[name]
            field.widget.attrs.pop("placeholder", None)
            field.help_text = password_validators_help_text_html() if name == "password1" else ""
        first = next(iter(self.fields.values()))
        first.widget.attrs["autofocus"] = True
        dress(self)


class LoginForm(_Dressed, allauth_forms.LoginForm):
    """E-mail and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].widget.attrs["autocomplete"] = "username webauthn"


class ReauthenticateForm(_Dressed, allauth_forms.ReauthenticateForm):
    """The password again."""


class ChangePasswordForm(_Dressed, allauth_forms.ChangePasswordForm):
    """Another password."""


class ResetPasswordForm(_Dressed, allauth_forms.ResetPasswordForm):
    """The e-mail of a forgotten password."""


class NewPasswordForm(_Dressed, allauth_forms.ResetPasswordKeyForm):
    """The new password after the link of the mail."""
