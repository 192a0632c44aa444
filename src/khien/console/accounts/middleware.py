"""What every request goes through: the language of the person, how long sessions last, and the second factor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.http import urlencode
from django.utils.translation import gettext as _

Answer = Callable[[HttpRequest], HttpResponse]
LANGUAGE = "language"
"""The session's and the cookie's name for the language chosen."""
_ALWAYS = frozenset(("account_logout", "language", "appearance", "health"))
_PROVE = frozenset(("mfa_reauthenticate", "mfa_reauthenticate_webauthn"))
_SET_UP = frozenset(
    (
        "mfa_index",
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "mfa_list_webauthn",
        "mfa_view_recovery_codes",
        "account_reauthenticate",
    )
)


class LanguageMiddleware:
    """Vietnamese unless the person, or this browser, chose another language; the browser's own wish is not asked."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        chosen = request.session.get(LANGUAGE) or request.COOKIES.get(LANGUAGE, "")
        if chosen not in dict(settings.LANGUAGES):
            chosen = settings.LANGUAGE_CODE
        with translation.override(chosen):
            request.LANGUAGE_CODE = chosen
            response = self._answer(request)
            response.headers.setdefault("Content-Language", chosen)
            return response


class SessionMiddleware:
    """Ends sessions that are too old or silent. Views marked `quiet`, and live streams, are no sign of the person."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._answer(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        from khien.console.accounts.sessions import touch

        if not request.user.is_authenticated:
            return None
        quiet = getattr(view, "quiet", False) or "text/event-stream" in request.headers.get("Accept", "")
        if touch(request, quiet=quiet):
            return None
        messages.info(request, _("Your session has ended. Sign in again to go on."))
        if request.method == "GET" and not quiet:
            return go(request, redirect_to_login(page_of(request)).url)
        return go(request, reverse(settings.LOGIN_URL))


class SecondFactorMiddleware:
    """A privileged role without a second factor gets to the pages that set one up, and no further.

    What counts is that the factor was shown, or set up, in this very session: a session begun with the password alone
    before a factor was set up elsewhere has to show it first.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._answer(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        from khien.console.accounts.adapter import has_second_factor
        from khien.console.accounts.factors import PROVEN

        user = request.user
        if not user.is_authenticated or not user.is_privileged or request.session.get(PROVEN):
            return None
        name = request.resolver_match.view_name
        if name in _ALWAYS:
            return None
        if has_second_factor(user):
            if name in _PROVE:
                return None
            return go(request, f"{reverse('mfa_reauthenticate')}?{urlencode({'next': page_of(request)})}")
        return None if name in _SET_UP else go(request, reverse("mfa_index"))


def proven_by(request: HttpRequest, user: Any) -> bool:
    """Whether a second factor of this person was shown in this session, as allauth remembers it."""
    return any(each.get("method") == "mfa" for each in get_authentication_records(request, user))


def page_of(request: HttpRequest) -> str:
    """The page to come back to: the one around it where htmx asked for a part."""
    if getattr(request, "htmx", False):
        return request.htmx.current_url_abs_path or "/"
    return request.get_full_path() if request.method == "GET" else "/"


def go(request: HttpRequest, url: str) -> HttpResponse:
    """Send the whole page there, also where htmx, or a program, asked for a part."""
    if getattr(request, "htmx", False):
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    if request.path.startswith("/api/v1/"):
        return HttpResponse('{"detail": "sign in again"}', status=401, content_type="application/json")
    response = HttpResponse(status=302)
    response["Location"] = url
    return response
