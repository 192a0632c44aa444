"""An incident as a file, and reports of it to the authorities; what takes long is made by the worker."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from ninja import Query, Router, Schema, Status
from ninja.decorators import decorate_view
from pydantic import Field

from khien.console.api.auth import Key
from khien.console.exports.api import FILE, MadeFileOut, at_once_or_later, content_of, file_of
from khien.console.exports.services import give_up
from khien.console.incidents.api.showing import looked_at
from khien.console.incidents.exports import export_incident
from khien.console.incidents.report_forms import ReportForm
from khien.console.incidents.reports import ReportKind, report_incident

exports = Router(tags=["incidents"])
_READ, _WRITE = Key("incidents:read"), Key("incidents:write")
_LINE = Field(None, max_length=4000)


class FormatQuery(Schema):
    """`json` for programs (khien-incident/1), `docx` and `pdf` for people, in the language of `Accept-Language`."""

    format: Literal["json", "docx", "pdf"]


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


@exports.get(
    "/{int:pk}/export", response={202: MadeFileOut}, auth=_READ, summary="The incident as a file", openapi_extra=FILE
)
@decorate_view(never_cache)
def export_an_incident(request: HttpRequest, pk: int, wanted: Query[FormatQuery]) -> HttpResponse | Status:
    """The file; of a very large incident 202, and the file is fetched from `files` once it is ready. Audited."""
    user, kind = request.user, wanted.format
    incident = looked_at(user, pk)
    return at_once_or_later(
        user,
        lambda: export_incident(user, pk, kind),
        address=reverse("incidents:export", args=[pk, kind]),
        title=f"{incident.number}.{kind}",
    )


@exports.get("/{int:pk}/report", response=ReportFields, auth=_WRITE, summary="What a report is filled with")
def report_fields(request: HttpRequest, pk: int) -> dict[str, Any]:
    """What is known, as the page of reports shows it first."""
    known = dict(ReportForm(request.user, looked_at(request.user, pk)).initial)
    return {**known, "addressees": known["addressees"].splitlines() or None}


@exports.post(
    "/{int:pk}/report",
    response={202: MadeFileOut},
    auth=_WRITE,
    summary="Compose a report to the authorities",
    openapi_extra=FILE,
)
@decorate_view(never_cache)
def compose_report(request: HttpRequest, pk: int, body: ReportIn) -> HttpResponse | Status:
    """In Vietnamese, to be signed and sent; nothing is sent. A long one is 202 and fetched from `files`. Audited."""
    user, kind = request.user, body.format
    incident = looked_at(user, pk)
    written = {**ReportForm(user, incident).initial, **_written(body)}
    form = ReportForm(user, incident, written)
    if not form.is_valid():
        raise ValidationError(form.errors.as_data())
    facts = form.facts()
    return at_once_or_later(
        user,
        lambda: report_incident(user, pk, facts, kind),
        address=reverse("incidents:report", args=[pk]),
        title=f"{incident.number} {facts.kind}.{kind}",
        form={name: [str(value)] for name, value in {**written, "format": kind}.items()},
    )


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


@exports.get("/files/{int:pk}", response=MadeFileOut, auth=_READ, summary="A file that the worker makes")
def incident_file(request: HttpRequest, pk: int) -> Any:
    """How far it is. One's own. `pk`: of the file."""
    return file_of(request.user, pk, under=reverse("incidents:list"))


@exports.get("/files/{int:pk}/content", auth=_READ, summary="Fetch a file that is ready", openapi_extra=FILE)
def incident_file_content(request: HttpRequest, pk: int) -> HttpResponse:
    """403 where rights were lost since it was made; 404 while it is not ready. Audited."""
    return content_of(request.user, pk, under=reverse("incidents:list"))


@exports.delete("/files/{int:pk}", response={204: None}, auth=_READ, summary="Give a file up")
def give_up_incident_file(request: HttpRequest, pk: int) -> Status:
    """It is deleted, or not made after all."""
    give_up(request.user, file_of(request.user, pk, under=reverse("incidents:list")).pk)
    return Status(204, None)
