"""An incident as a file, and reports of it to the authorities. What takes long is 202: whoever asks again gets it."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from ninja import Router, Schema
from ninja.decorators import decorate_view
from pydantic import Field

from khien.console.api.auth import Key
from khien.console.api.shapes import BINARY
from khien.console.exports.documents import saved
from khien.console.exports.progress import TakesLong
from khien.console.incidents.api.showing import looked_at
from khien.console.incidents.exports import export_incident
from khien.console.incidents.report_forms import ReportForm
from khien.console.incidents.reports import ReportKind, report_incident

exports = Router(tags=["incidents"])
_READ, _WRITE = Key("incidents:read"), Key("incidents:write")
_LINE = Field(None, max_length=4000)


class ReportFields(Schema):
    """What a report says beside what the incident tells. `number`: null leaves room for it.

    `handled`, `confidential`: null where not known.
    """

    kind: ReportKind | None = None
    addressees: list[str] | None = Field(None, min_length=1, max_length=20)
    issuer: str | None = _LINE
    parent: str | None = _LINE
    number: int | None = Field(None, ge=1, le=99_999)
    sign: str | None = _LINE
    place: str | None = _LINE
    day: date | None = None
    position: str | None = _LINE
    signer: str | None = _LINE
    reporter: str | None = _LINE
    contact: str | None = _LINE
    description: str | None = _LINE
    how_detected: str | None = _LINE
    handled: bool | None = None
    measures: str | None = _LINE
    already_told: str | None = _LINE
    confidential: bool | None = None
    support_wanted: str | None = _LINE
    providers: str | None = _LINE
    os_version: str | None = _LINE
    services: str | None = _LINE
    safeguards: str | None = _LINE
    purpose: str | None = _LINE


class ReportIn(ReportFields):
    """A report to compose. What is left out, or null, is as `GET` tells it."""

    format: Literal["docx", "pdf"] = "docx"


@exports.get("/{int:pk}/export/{kind}", auth=_READ, summary="The incident as a file", openapi_extra=BINARY)
@decorate_view(never_cache)
def export_an_incident(request: HttpRequest, pk: int, kind: Literal["json", "docx", "pdf"]) -> HttpResponse:
    """`json` for programs (khien-incident/1), `docx` and `pdf` for people, in the language of `Accept-Language`."""
    user = request.user
    looked_at(user, pk)
    return saved(export_incident(user, pk, kind))


@exports.get("/{int:pk}/report", response=ReportFields, auth=_WRITE, summary="What a report is filled with")
def report_fields(request: HttpRequest, pk: int) -> dict[str, Any]:
    """What is known, as the page of reports shows it first."""
    known = dict(ReportForm(request.user, looked_at(request.user, pk)).initial)
    return {**known, "addressees": known["addressees"].splitlines() or None}


@exports.post("/{int:pk}/report", auth=_WRITE, summary="Compose a report to the authorities", openapi_extra=BINARY)
@decorate_view(never_cache)
def compose_report(request: HttpRequest, pk: int, body: ReportIn) -> HttpResponse:
    """The file, in Vietnamese, to be signed and sent; nothing is sent. That it was composed is in the audit trail."""
    user, kind = request.user, body.format
    incident = looked_at(user, pk)
    written = {**ReportForm(user, incident).initial, **_written(body)}
    form = ReportForm(user, incident, written)
    if not form.is_valid():
        raise ValidationError(form.errors.as_data())
    facts = form.facts()
    try:
        return saved(report_incident(user, pk, facts, kind))
    except TakesLong as error:
        error.form = {name: [str(value)] for name, value in {**written, "format": kind}.items()}
        raise


def _written(body: ReportIn) -> dict[str, str]:
    """What was sent, as the form has it."""
    sent: dict[str, str] = {}
    for name, value in body.dict(exclude_none=True, exclude={"format"}).items():
        if isinstance(value, bool):
            sent[name] = "1" if value else "0"
        elif isinstance(value, list):
            sent[name] = "\n".join(value)
        else:
            sent[name] = str(value)
    return sent
