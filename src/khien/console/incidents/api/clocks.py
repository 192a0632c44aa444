"""Legal deadlines of incidents."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from khien.console.api.auth import Key
from khien.console.api.shapes import Moment
from khien.console.incidents import clocks as services
from khien.console.incidents.api.showing import ClockOut, Version, looked_at
from khien.console.incidents.api.state import WithReason

clocks = Router(tags=["incidents"])


class SentIn(Schema):
    """A report that was sent."""

    version: int = Version
    sent_at: Moment
    document_number: str = Field("", max_length=80)
    recipient: str = Field(min_length=1, max_length=300)
    confirmation: str = Field("", max_length=5_000)


@clocks.get("/{int:pk}/clocks", response=list[ClockOut], auth=Key("incidents:read"), summary="The legal deadlines")
def list_clocks(request: HttpRequest, pk: int) -> list[Any]:
    """Those due first, first; withdrawn ones too."""
    return list(looked_at(request.user, pk).clocks.all())


@clocks.post("/clocks/{int:pk}/sent", response=ClockOut, auth=Key("incidents:write"), summary="A legal report was sent")
def clock_sent(request: HttpRequest, pk: int, body: SentIn) -> Any:
    """When, under which number, to whom; again, to add how it was confirmed. `pk`: of the clock."""
    return services.mark_sent(request.user, pk, **body.dict())


@clocks.post("/clocks/{int:pk}/waive", response=ClockOut, auth=Key("incidents:write"), summary="No report, with reason")
def clock_waived(request: HttpRequest, pk: int, body: WithReason) -> Any:
    """Why a legal report is not sent. `pk`: of the clock."""
    return services.waive(request.user, pk, body.version, reason=body.reason)
