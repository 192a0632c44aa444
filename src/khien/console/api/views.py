"""Pages of webhooks: one's own, and what was delivered."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from khien.console.accounts.access import needs
from khien.console.api import webhooks
from khien.console.api.forms import WebhookForm
from khien.console.api.models import Webhook


@needs("work")
@require_http_methods(["GET", "POST"])
def hooks(request: HttpRequest) -> HttpResponse:
    """One's webhooks, and a form for another; the secret of a new one is shown this once."""
    form, made = WebhookForm(request.POST or None), None
    if request.method == "POST" and form.is_valid():
        try:
            made = webhooks.add_webhook(request.user, **form.cleaned_data)
            form = WebhookForm()
        except ValidationError as error:
            form.add_error(None, error)
    mine = Webhook.objects.filter(owner=request.user)
    status = 400 if request.method == "POST" and made is None else 200
    return render(request, "api/hooks.html", {"form": form, "made": made, "hooks": mine}, status=status)


@needs("work")
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take one of one's own away."""
    get_object_or_404(Webhook, pk=pk, owner=request.user)
    webhooks.remove_webhook(request.user, pk)
    messages.success(request, _("The webhook is gone."))
    return redirect("webhooks:list")


@needs("work")
@require_GET
def deliveries(request: HttpRequest, pk: int) -> HttpResponse:
    """What was sent to one of one's own, the latest first."""
    hook = get_object_or_404(Webhook, pk=pk, owner=request.user)
    page = Paginator(hook.deliveries.all(), 50).get_page(request.GET.get("page"))
    return render(request, "api/deliveries.html", {"hook": hook, "page": page})
