"""Evidence of an incident. It leaves only as an encrypted archive."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from ninja import File, Form, Router, Schema, Status, UploadedFile
from ninja.decorators import decorate_view
from pydantic import Field

from khien.console.accounts.models import User
from khien.console.api.auth import Key
from khien.console.api.shapes import BINARY, Moment, PersonRef, Time
from khien.console.incidents import evidence as services
from khien.console.incidents import evidence_package
from khien.console.incidents.api.showing import IncidentRef, Version, looked_at
from khien.console.incidents.models import Custody, Evidence

evidence = Router(tags=["incidents"])
_REASON = Field(min_length=1, max_length=500)


class EvidenceOut(Schema):
    """A piece of evidence. `number`: within its incident, `label` as people write it; the hash is of the upload."""

    number: int
    label: str
    name: str = Field(alias="file.name")
    size: int = Field(alias="file.size")
    sha256: str = Field(alias="file.sha256")
    description: str
    collected_at: Time
    collected_where: str
    collected_by: str
    added_by: PersonRef
    added_at: Time
    withdrawn_at: Time | None
    withdrawn_by: PersonRef | None
    withdrawn_reason: str
    version: int


class CustodyOut(Schema):
    """A step in the chain of custody. `to`: who received it. `intact`: what a check found. `address`: from where."""

    at: Time
    by: PersonRef
    kind: str
    reason: str
    to: str
    intact: bool | None
    address: str


class TwinOut(Schema):
    """Other evidence with the same content."""

    incident: IncidentRef
    number: int
    label: str


class EvidenceAdded(EvidenceOut):
    """A piece of evidence, and others of the same content that the key's owner sees."""

    twins: list[TwinOut]

    @staticmethod
    def resolve_twins(piece: Evidence, context: dict[str, Any]) -> list[Evidence]:
        """For the person who asks."""
        return services.twins_of(context["request"].user, piece)


class EvidenceWhole(EvidenceAdded):
    """The same with its chain of custody."""

    custody: list[CustodyOut]

    @staticmethod
    def resolve_custody(piece: Evidence) -> list[Custody]:
        """The chain, oldest first."""
        return list(piece.custody.select_related("by"))


class EvidenceIn(Schema):
    """Where the files come from. `collected_by`: left empty, the key's owner."""

    description: str = Field(min_length=1, max_length=4000)
    collected_at: Moment
    collected_where: str = Field(min_length=1, max_length=300)
    collected_by: str = Field("", max_length=200)


class HandOverIn(Schema):
    """To whom it was given, and why."""

    to: str = Field(min_length=1, max_length=300)
    reason: str = _REASON


class WithdrawIn(Schema):
    """Why it no longer counts."""

    version: int = Version
    reason: str = _REASON


class CheckedOut(Schema):
    """Whether the bytes are still those of the upload."""

    intact: bool


class PackageIn(Schema):
    """Which evidence, and what it is needed for."""

    numbers: list[Annotated[int, Field(ge=1, lt=2**31)]] = Field(min_length=1, max_length=500)
    reason: str = _REASON


class PackageOut(Schema):
    """The archive's password, told once and kept nowhere, and the token that fetches it until `expires_at`."""

    numbers: list[int]
    password: str
    token: str
    expires_at: Time


class TokenIn(Schema):
    """The token of a package."""

    token: str = Field(min_length=1, max_length=20_000)


def _piece(user: User, pk: int, number: int) -> Evidence:
    """A piece of evidence; of a sensitive incident a look, which is recorded."""
    rows = Evidence.objects.visible_to(user).listed().select_related("incident")
    piece: Evidence = rows.get(incident=looked_at(user, pk), number=number)
    return piece


@evidence.get("/{int:pk}/evidence", response=list[EvidenceOut], auth=Key("incidents:read"), summary="The evidence")
def list_evidence(request: HttpRequest, pk: int) -> list[Any]:
    """All of it, withdrawn too, by number."""
    return list(looked_at(request.user, pk).evidence.listed())


@evidence.post(
    "/{int:pk}/evidence", response={201: list[EvidenceAdded]}, auth=Key("incidents:write"), summary="Add evidence"
)
def add_evidence(request: HttpRequest, pk: int, told: Form[EvidenceIn], files: File[list[UploadedFile]]) -> Status:
    """Up to twenty files of 1 GiB, 2 GiB together; all are kept, or none. Compare the SHA-256 with that of yours."""
    added = services.add_evidence(request.user, pk, files, **told.dict())
    return Status(201, [each.evidence for each in added])


@evidence.get(
    "/{int:pk}/evidence/{int:number}",
    response=EvidenceWhole,
    auth=Key("incidents:read"),
    summary="One piece of evidence with its chain of custody",
)
def one_evidence(request: HttpRequest, pk: int, number: int) -> Any:
    """The look itself is kept in the chain, once in ten minutes."""
    piece = _piece(request.user, pk, number)
    services.view_evidence(request.user, piece)
    return piece


@evidence.post(
    "/{int:pk}/evidence/{int:number}/verify",
    response=CheckedOut,
    auth=Key("incidents:write"),
    summary="Hash the bytes again",
)
def verify_evidence(request: HttpRequest, pk: int, number: int) -> dict[str, bool]:
    """What came of it is kept in the chain."""
    return {"intact": services.verify_evidence(request.user, _piece(request.user, pk, number).pk)}


@evidence.post(
    "/{int:pk}/evidence/{int:number}/hand-over",
    response={201: CustodyOut},
    auth=Key("incidents:write"),
    summary="Keep to whom it was given",
)
def hand_over_evidence(request: HttpRequest, pk: int, number: int, body: HandOverIn) -> Status:
    """The answer is the step in the chain of custody."""
    return Status(201, services.hand_over(request.user, _piece(request.user, pk, number).pk, **body.dict()))


@evidence.post(
    "/{int:pk}/evidence/{int:number}/withdraw",
    response=EvidenceOut,
    auth=Key("incidents:write"),
    summary="Withdraw a piece of evidence",
)
def withdraw_evidence(request: HttpRequest, pk: int, number: int, body: WithdrawIn) -> Any:
    """It no longer counts, and is kept with the reason. One's own; others' with a role that may lead."""
    return services.withdraw_evidence(request.user, _piece(request.user, pk, number).pk, **body.dict())


@evidence.post(
    "/{int:pk}/evidence/package",
    response=PackageOut,
    auth=Key("incidents:write"),
    summary="Ask for evidence as an encrypted archive",
)
@decorate_view(never_cache)
def offer_evidence(request: HttpRequest, pk: int, body: PackageIn) -> dict[str, Any]:
    """Each answer has a password of its own, whatever the `Idempotency-Key`."""
    user = request.user
    chosen, password, token = evidence_package.offer(user, looked_at(user, pk), body.numbers, body.reason)
    until = timezone.now() + timedelta(seconds=evidence_package.LIVES)
    return {
        "numbers": [each.number for each in chosen],
        "password": password,
        "token": token,
        "expires_at": until,
    }


@evidence.post(
    "/{int:pk}/evidence/download",
    auth=Key("incidents:write"),
    summary="Download the encrypted archive",
    openapi_extra=BINARY,
)
def download_evidence(request: HttpRequest, pk: int, body: TokenIn) -> HttpResponse:
    """A zip under AES-256, made while it is sent; the chain of custody of each piece keeps why it was taken."""
    return evidence_package.download(request.user, looked_at(request.user, pk), body.token)
