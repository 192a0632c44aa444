"""What every request goes through: the language of the person, and the second factor of privileged roles."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import translation

Answer = Callable[[HttpRequest], HttpResponse]
LANGUAGE = "language"
"""The session's and the cookie's name for the language chosen."""
_OPEN = ("/account/", "/static/", "/health", "/language")


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


class SecondFactorMiddleware:
    """A privileged role without a second factor gets to the page that sets one up, and no further."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if user.is_authenticated and user.is_privileged and not request.path.startswith(_OPEN):
            from allauth.mfa.utils import is_mfa_enabled

            if not request.session.get("second_factor"):
                if not is_mfa_enabled(user):
                    return redirect("mfa_index")
                request.session["second_factor"] = True
        return self._answer(request)
