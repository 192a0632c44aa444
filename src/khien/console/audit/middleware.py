"""Remembers where a request comes from, for the audit entries made while it is answered."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse


class Origin(NamedTuple):
    """The address and program a request came from."""

    address: str = ""
    agent: str = ""


_NOWHERE = Origin()
origin: ContextVar[Origin] = ContextVar("origin", default=_NOWHERE)


class OriginMiddleware:
    """Sets `origin` for the length of a request."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = origin.set(Origin(request.META.get("REMOTE_ADDR", ""), request.headers.get("User-Agent", "")[:300]))
        try:
            return self._answer(request)
        finally:
            origin.reset(token)
