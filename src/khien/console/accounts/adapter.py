"""What allauth is told: nobody signs up, guessing is counted, links begin with the console's own address."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.urls import reverse
from django.utils import translation

from khien.console.accounts import lockout, mail
from khien.console.accounts.models import User
from khien.console.audit.services import record

FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
"""Second factors proper; recovery codes only stand in for them."""


def has_second_factor(user: User) -> bool:
    """Whether a person has set up an authenticator app or a security key."""
    return Authenticator.objects.filter(user=user, type__in=FACTORS).exists()


class AccountAdapter(DefaultAccountAdapter):
    """Closed to strangers."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """As the audit trail says it."""
        return request.META.get("REMOTE_ADDR") or "127.0.0.1"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        self._tried = str(credentials.get("email", ""))
        self._attempt = lockout.attempt(self._tried, self.get_client_ip(request))
        if self._attempt is None:
            raise self.validation_error("too_many_login_attempts")

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        if user is not None and self._attempt is not None:
            self._attempt.succeeded()
        return user

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        known = User.objects.filter(email=lockout.key_of(self._tried)).first()
        record(None, "account.sign_in_failed", known, actor_name=self._tried[:254], after={"what": "password"})
        lockout.failed(self._tried)

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Who has a second factor proves it again; the password alone would be a way round it."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        if user.is_authenticated and has_second_factor(user):
            return [method for method in methods if method["id"] != "reauthenticate"]
        return methods

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Never by the Host header."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return settings.ADDRESS + path.replace("UID-KEY", key)

    def send_password_reset_mail(self, user: Any, email: str, context: dict[str, Any]) -> None:
        """Also told in the audit trail."""
        record(None, "account.password_ask", user, actor_name=email)
        mail.send(user, "password_reset", {"url": context["password_reset_url"]})

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Notices of changes, in the language of the person they are for."""
        user = User.objects.filter(email=email).first()
        if user is None:
            return
        with translation.override(user.language):
            mail.dispatch(self.render_mail(template_prefix, email, {"email": email, **context}))


class MfaAdapter(DefaultMFAAdapter):
    """Second factors."""

    def _get_site_name(self) -> str:
        return "Khiên"

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Not the last one of a person whose role needs one: another has to be set up first."""
        user = authenticator.user
        if not user.is_privileged or authenticator.type not in FACTORS:
            return True
        return Authenticator.objects.filter(user=user, type__in=FACTORS).exclude(pk=authenticator.pk).exists()
