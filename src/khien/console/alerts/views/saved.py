"""Views of the queue that people keep by name."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from khien.console.accounts.access import needs
from khien.console.alerts import saved_views
from khien.console.alerts.models import SavedView
from khien.console.alerts.state import State


@require_POST
@needs("alerts.view")
def save(request: HttpRequest) -> HttpResponse:
    """Keep the state of `state` (a query string) under a name."""
    state = State.of(QueryDict(request.POST.get("state", "")[:4_000].lstrip("?")))
    try:
        saved_views.save_view(
            request.user,
            name=request.POST.get("name", ""),
            query=state.address().lstrip("?"),
            shared=request.POST.get("shared") == "on",
        )
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(reverse("alerts:queue") + state.address())


@require_POST
@needs("alerts.view")
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget one of one's own views."""
    try:
        saved_views.delete_view(request.user, pk)
    except SavedView.DoesNotExist as error:
        raise Http404 from error
    return redirect("alerts:queue")
