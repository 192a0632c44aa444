"""Views of the queue that people keep by name."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, QueryDict
from ninja import Router, Schema, Status
from pydantic import Field

from khien.console.alerts import saved_views
from khien.console.alerts.models import SavedView
from khien.console.alerts.state import State
from khien.console.api.auth import Key
from khien.console.api.shapes import PersonRef, Time

views = Router(tags=["alerts"])


class ViewOut(Schema):
    """A view. `query`: the queue's address after its `?`; `q` in it is a filter as lists of alerts take it."""

    id: int
    name: str
    query: str
    shared: bool
    owner: PersonRef
    created_at: Time


class ViewIn(Schema):
    """A view to keep. `query`: `tab=mine&q=level%3Ahigh`; what is not understood is left out."""

    name: str = Field(min_length=1, max_length=80)
    query: str = Field("", max_length=4_000)
    shared: bool = False


@views.get("/views", response=list[ViewOut], auth=Key("alerts:read"), summary="List views of the queue")
def list_alert_views(request: HttpRequest) -> Any:
    """One's own and those that others share, at most 200."""
    return list(SavedView.objects.visible_to(request.user).select_related("owner")[:200])


@views.post("/views", response={201: ViewOut}, auth=Key("alerts:write"), summary="Keep a view of the queue")
def save_alert_view(request: HttpRequest, body: ViewIn) -> Status:
    """One's own of the same name is replaced."""
    query = State.of(QueryDict(body.query.lstrip("?"))).address().lstrip("?")
    return Status(201, saved_views.save_view(request.user, name=body.name, query=query, shared=body.shared))


@views.delete("/views/{int:pk}", response={204: None}, auth=Key("alerts:write"), summary="Forget a view of the queue")
def delete_alert_view(request: HttpRequest, pk: int) -> Status:
    """One of one's own."""
    saved_views.delete_view(request.user, pk)
    return Status(204, None)
