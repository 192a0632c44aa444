"""Requests sent twice do their work once: the second one with the same `Idempotency-Key` gets the first one's answer.

Answers are kept for a day, save those that say `no-store`, which hold a secret. The same key with another request is
refused (422), and while the first request is still at work the second is told to wait (409).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta

from django.core.exceptions import SuspiciousOperation
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone

from khien.console.accounts import keys
from khien.console.api.models import IdempotentAnswer

KEPT = timedelta(days=1)
_STUCK = timedelta(minutes=5)
_CHANGING = frozenset(("POST", "PUT", "PATCH", "DELETE"))


class IdempotencyMiddleware:
    """For changing requests below /api/ that carry the header; all others pass."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.headers.get("Idempotency-Key", "")
        if not key or request.method not in _CHANGING or not request.path.startswith("/api/"):
            return self._answer(request)
        if len(key) > 255 or not key.isprintable():
            return _refuse(422, "invalid", "Idempotency-Key is longer than 255 characters or not printable")
        shown = request.headers.get("Authorization", "")
        if not shown.startswith("Bearer ") or keys.authenticate(shown.removeprefix("Bearer ")) is None:
            return self._answer(request)  # no caller whose answers could be kept: it is refused there
        caller = _hash(shown)
        try:
            wanted = _digest(request)
        except (MultiPartParserError, SuspiciousOperation):
            return self._answer(request)  # a body that cannot be read: it is refused there
        held = self._hold(caller, key, wanted)
        if isinstance(held, HttpResponse):
            return held
        try:
            response = self._answer(request)
        except BaseException:
            held.delete()
            raise
        kept = response.status_code < 500 and response.status_code not in (401, 403, 429)
        if not kept or response.streaming or "no-store" in response.headers.get("Cache-Control", ""):
            held.delete()
        else:
            body = response.content.decode("utf-8", "replace")
            IdempotentAnswer.objects.filter(pk=held.pk).update(status=response.status_code, body=body)
        return response

    def _hold(self, caller: str, key: str, wanted: str) -> IdempotentAnswer | HttpResponse:
        """Take the key for this request, or the answer that another request with it got."""
        now = timezone.now()
        with transaction.atomic():
            old = IdempotentAnswer.objects.filter(caller=caller, key=key)
            old.filter(created_at__lt=now - KEPT).delete()
            old.filter(status=0, created_at__lt=now - _STUCK).delete()
        try:
            with transaction.atomic():
                return IdempotentAnswer.objects.create(caller=caller, key=key, request=wanted, created_at=now)
        except IntegrityError:
            known = IdempotentAnswer.objects.filter(caller=caller, key=key).first()
        if known is None or not known.status:
            return _refuse(409, "at_work", "A request with this Idempotency-Key is still at work; try again")
        if known.request != wanted:
            return _refuse(422, "invalid", "This Idempotency-Key was used for another request")
        response = HttpResponse(known.body, status=known.status, content_type="application/json; charset=utf-8")
        response["Idempotency-Replayed"] = "true"
        return response


def forget_old() -> int:
    """Delete answers that are past their day; how many."""
    return IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


def _refuse(status: int, code: str, detail: str) -> JsonResponse:
    return JsonResponse({"code": code, "detail": detail}, status=status)


def _digest(request: HttpRequest) -> str:
    """What the request is: its address and body, of a form its fields and files."""
    sha = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    if request.content_type != "multipart/form-data":
        sha.update(request.body)
        return sha.hexdigest()
    fields = sorted((name, values) for name, values in request.POST.lists())
    sha.update(json.dumps(fields).encode())
    for name, uploads in sorted(request.FILES.lists()):
        for upload in uploads:
            sha.update(json.dumps([name, upload.name, upload.size]).encode())
            for chunk in upload.chunks():
                sha.update(chunk)
    return sha.hexdigest()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
