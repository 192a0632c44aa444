"""What the API answers when something cannot be done: one JSON shape, `{"code", "detail", ...}`."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as InvalidValue
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from khien.console.accounts.access import Forbidden
from khien.console.concurrency import Changed
from khien.console.exports import services as exports
from khien.console.exports.documents import why_no_pdf
from khien.console.exports.models import FileState
from khien.console.exports.progress import TakesLong
from khien.console.exports.replay import Refused
from khien.documents.pdf import PdfError

_log = logging.getLogger(__name__)


def register(api: NinjaAPI) -> None:
    """Teach an API the console's errors."""

    def answer(request: HttpRequest, status: int, code: str, detail: Any, **more: Any) -> HttpResponse:
        return api.create_response(request, {"code": code, "detail": detail, **more}, status=status)

    @api.exception_handler(AuthenticationError)
    def _unknown(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        response = answer(request, 401, "unauthenticated", "Send a valid API key: Authorization: Bearer khien_...")
        response["WWW-Authenticate"] = "Bearer"
        return response

    @api.exception_handler(PermissionDenied)
    def _forbidden(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
        needed = error.capability if isinstance(error, Forbidden) else ""
        return answer(request, 403, "forbidden", "The role or the key may not do this", needed=needed)

    @api.exception_handler(Http404)
    @api.exception_handler(ObjectDoesNotExist)
    def _missing(request: HttpRequest, error: Exception) -> HttpResponse:
        return answer(request, 404, "not_found", "There is no such thing, or you do not see it")

    @api.exception_handler(Changed)
    def _changed(request: HttpRequest, error: Changed) -> HttpResponse:
        return answer(request, 409, "changed", str(error), version=getattr(error.current, "version", None))

    @api.exception_handler(ValidationError)
    def _malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
        details = [
            {"where": ".".join(map(str, each.get("loc", ()))), "what": each.get("msg", "")} for each in error.errors
        ]
        return answer(request, 422, "invalid", details)

    @api.exception_handler(InvalidValue)
    def _invalid(request: HttpRequest, error: InvalidValue) -> HttpResponse:
        if hasattr(error, "error_dict"):
            return answer(
                request,
                422,
                "invalid",
                [{"where": name, "what": " ".join(texts)} for name, texts in error.message_dict.items()],
            )
        return answer(request, 422, "invalid", [{"where": "", "what": text} for text in error.messages])

    @api.exception_handler(TakesLong)
    def _long(request: HttpRequest, error: TakesLong) -> HttpResponseBase:
        try:
            made = exports.made_lately_or_asked(request.user, error)
        except InvalidValue as full:
            return answer(request, 429, "too_many", " ".join(full.messages))
        if made.state == FileState.READY:
            try:
                return exports.fetch(request.user, made.pk)
            except Refused:
                return answer(request, 403, "forbidden", "Your rights have changed since it was made")
        if made.state == FileState.FAILED:
            return answer(request, 503, "not_made", made.get_reason_display())
        response = answer(request, 202, "being_made", "The file is being made: ask again", done=made.done)
        response["Retry-After"] = "5"
        return response

    @api.exception_handler(PdfError)
    def _no_pdf(request: HttpRequest, error: PdfError) -> HttpResponse:
        return answer(request, 503, "not_made", why_no_pdf(error))

    @api.exception_handler(RequestDataTooBig)
    def _too_large(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20
        return answer(request, 413, "too_large", f"A body without files is at most {most} MiB")

    @api.exception_handler(MultiPartParserError)
    @api.exception_handler(SuspiciousOperation)
    def _unreadable(request: HttpRequest, error: Exception) -> HttpResponse:
        return answer(request, 400, "unreadable", "The body is no form with files, or has too many parts")

    @api.exception_handler(OverflowError)
    @api.exception_handler(DataError)
    def _unfit(request: HttpRequest, error: Exception) -> HttpResponse:
        _log.warning("request refused: %s %s: %s", request.method, request.path, error)
        return answer(request, 422, "invalid", "A number is too large, or a text too long, for what it is for")

    @api.exception_handler(Exception)
    def _failed(request: HttpRequest, error: Exception) -> HttpResponse:
        code = secrets.token_hex(4)
        _log.exception("request failed, code %s: %s %s", code, request.method, request.path, exc_info=error)
        return answer(request, 500, "failed", f"Something went wrong; tell the administrator this code: {code}")

    @api.exception_handler(HttpError)
    def _http(request: HttpRequest, error: HttpError) -> HttpResponse:
        return answer(request, error.status_code, "refused", str(error))
