"""What every request goes through: no cache keeps pages of people, and what no database holds is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import BadRequest
from django.db import DataError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import get_resolver

_log = logging.getLogger(__name__)


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


class UnfitMiddleware:
    """400 for what no database holds: NUL in a text, a number too large for its column, a text too long for it.

    Forms and schemas say so first, field by field; this is for what stands in addresses and in hidden fields.
    """

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._answer(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        given = [request.path, *(value for values in request.GET.lists() for value in (values[0], *values[1]))]
        if any("\0" in value for value in given):
            if request.path.startswith("/api/v1/"):
                return JsonResponse({"code": "invalid", "detail": "NUL in the address"}, status=422)
            raise BadRequest("NUL in the address")
        if request.method != "POST" or getattr(view, "csrf_exempt", False):
            return None
        # Reading the form costs nothing here: the check against forged requests has read it already.
        if any("\0" in value for _, values in request.POST.lists() for value in values):
            raise BadRequest("NUL in the form")
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, OverflowError | DataError):
            return None
        _log.warning("request refused: %s %s: %s", request.method, request.path, error)
        return get_resolver().resolve_error_handler(400)(request, exception=error)
