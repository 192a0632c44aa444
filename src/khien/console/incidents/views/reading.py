"""What the views of incidents share: finding one that the person sees, and showing a refusal beside the form."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from khien.console.audit.services import record_view
from khien.console.incidents.models import Incident


def seen(request: HttpRequest, pk: int) -> Incident:
    """The incident, if the person sees it; 404 otherwise. A look at a sensitive one is kept in the audit trail."""
    rows = Incident.objects.visible_to(request.user).select_related("unit", "leader", "created_by")
    incident = get_object_or_404(rows, pk=pk)
    if incident.is_sensitive:
        record_view(request.user, incident)
    return incident


def back(incident_pk: int, place: str = "") -> HttpResponse:
    """To the incident's page."""
    answer = redirect("incidents:detail", incident_pk)
    if place:
        answer["Location"] += f"#{place}"
    return answer


def refuse(request: HttpRequest, error: ValidationError) -> None:
    """Say on the next page what a service refused."""
    for text in error.messages:
        messages.error(request, text)


def form_page(request: HttpRequest, incident: Incident, form: Any, **context: Any) -> HttpResponse:
    """A form of an incident on a page of its own; 400 with errors, 409 with `conflict`."""
    status = 409 if context.get("conflict") else 400 if form.errors else 200
    context = {"incident": incident, "form": form, **context}
    return render(request, "incidents/form.html", context, status=status)
