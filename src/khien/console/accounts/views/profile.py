"""One's own account and keys."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from khien.console.accounts import keys, people
from khien.console.accounts.access import needs
from khien.console.accounts.adapter import has_second_factor
from khien.console.accounts.forms import KeyForm, ProfileForm
from khien.console.accounts.middleware import LANGUAGE
from khien.console.accounts.models import ApiKey
from khien.console.concurrency import Changed


@require_http_methods(["GET", "POST"])
@needs("work")
def profile(request: HttpRequest) -> HttpResponse:
    """Name, phone and language, and the way to all that belongs to one's account."""
    user, status, changed = request.user, 200, None
    values = {name: getattr(user, name) for name in (*people.OWN, "version")}
    form = ProfileForm(request.POST if request.method == "POST" else None, initial=values)
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                people.change_profile(user, form.cleaned_data["version"], form.cleaned_data)
            except ValidationError as error:
                form.add_error(None, error)
            except Changed as conflict:
                changed, status = conflict.current, 409
                form.data = form.data.copy()
                form.data["version"] = str(changed.version)
            else:
                request.session[LANGUAGE] = form.cleaned_data["language"]
                messages.success(request, _("Saved."))
                return redirect("accounts:profile")
    context = {
        "form": form,
        "changed": changed,
        "message": Changed.message,
        "has_factor": has_second_factor(user),
        "key_count": ApiKey.objects.filter(owner=user).usable().count(),
    }
    return render(request, "accounts/profile.html", context, status=status)


@require_http_methods(["GET", "POST"])
@needs("work")
@never_cache
def own_keys(request: HttpRequest) -> HttpResponse:
    """One's own API keys; makes one, whose secret this answer alone shows."""
    form, secret, made = KeyForm(by=request.user), "", None
    if request.method == "POST":
        form = KeyForm(request.POST, by=request.user)
        if form.is_valid():
            try:
                made, secret = keys.create_key(
                    request.user, form.cleaned_data["name"], form.cleaned_data["scopes"], form.expires_at()
                )
                form = KeyForm(by=request.user)
            except ValidationError as error:
                fields = getattr(error, "error_dict", {})
                form.add_error("expires_on" if "expires_at" in fields else "scopes", error.messages)
    context = {
        "form": form,
        "made": made,
        "secret": secret,
        "keys": _labelled(ApiKey.objects.filter(owner=request.user)),
    }
    return render(request, "accounts/keys.html", context, status=400 if form.errors else 200)


@needs("users.manage")
def all_keys(request: HttpRequest) -> HttpResponse:
    """The keys of all people one sees."""
    found = ApiKey.objects.visible_to(request.user).select_related("owner__unit")
    return render(request, "accounts/all_keys.html", {"keys": _labelled(found[:500])})


@require_POST
@needs("work")
def revoke_key(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke a key of one's own, or of somebody one manages."""
    found = ApiKey.objects.visible_to(request.user)
    if not request.user.may("users.manage"):
        found = ApiKey.objects.filter(owner=request.user)
    key = get_object_or_404(found, pk=pk)
    keys.revoke_key(request.user, key)
    messages.success(request, _("The key has been revoked."))
    return redirect("accounts:keys" if key.owner_id == request.user.pk else "accounts:all_keys")


def _labelled(found: object) -> list[ApiKey]:
    listed = list(found)  # type: ignore[call-overload]
    for key in listed:
        key.scope_labels = [keys.SCOPES[scope].label for scope in key.scopes if scope in keys.SCOPES]
    return listed
