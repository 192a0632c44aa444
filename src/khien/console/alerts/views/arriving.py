"""Live arrival of alerts."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

from khien.console.accounts.access import needs, quiet
from khien.console.alerts.arrivals import Listener
from khien.console.alerts.arrivals import stream as events
from khien.console.alerts.language import FilterError
from khien.console.alerts.state import State


@quiet
@require_GET
@needs("alerts.view")
def stream(request: HttpRequest) -> HttpResponseBase:
    """Server-sent events of alerts that arrive and that the queue at this address would show."""
    state = State.of(request.GET)
    try:
        criteria = state.criteria(request.user)
    except FilterError:
        return HttpResponse(status=204)  # tells the browser not to come again
    key = request.session.session_key or ""
    listener = Listener(request.user.pk, key, state, criteria, time.monotonic())
    response = StreamingHttpResponse(events(listener), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response
