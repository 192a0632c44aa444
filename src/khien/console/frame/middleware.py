"""Pages of people who are signed in are nobody else's: no cache keeps them."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class PrivateMiddleware:
    """`Cache-Control: no-store` where the answer says nothing else and a person is signed in or a key was shown."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._answer(request)
        known = "Authorization" in request.headers or (hasattr(request, "user") and request.user.is_authenticated)
        if known and "Cache-Control" not in response.headers:
            response["Cache-Control"] = "no-store"
        return response
