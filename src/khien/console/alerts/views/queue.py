"""The queue of alerts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from khien.console.accounts.access import needs


@needs("alerts.view")
def queue(request: HttpRequest) -> HttpResponse:
    """Alerts by filter, order and group."""
    return render(request, "alerts/queue.html", {})
