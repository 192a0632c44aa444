"""Managing people: the list, one person, invitations."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import reauthentication_required
from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from khien.console.accounts import invitations, lockout, people, sessions
from khien.console.accounts.access import needs
from khien.console.accounts.forms import InvitationForm, PersonForm
from khien.console.accounts.models import ApiKey, Invitation, User
from khien.console.accounts.roles import Role
from khien.console.accounts.selectors import filtered, left_behind
from khien.console.concurrency import Changed
from khien.console.frame.given import whole
from khien.console.spreadsheets.exports import export_response
from khien.console.units.models import Unit

_SORTS = {
    "name": ("name", "id"),
    "unit": ("unit__name", "name", "id"),
    "seen": ("-seen_at", "id"),
    "role": ("role", "name", "id"),
}
_FILTERS = ("q", "unit", "role", "state", "factor", "seen")


@needs("users.manage")
def users(request: HttpRequest) -> HttpResponse:
    """All people one sees, by the filters in the address."""
    given = {name: request.GET.get(name, "") for name in _FILTERS}
    sort = request.GET.get("sort", "name")
    order = _SORTS.get(sort, _SORTS["name"])
    found = filtered(User.objects.visible_to(request.user), given).order_by(*order)
    if request.GET.get("export"):
        return export_response(request, "people", _("People"), _columns(), found)
    context = {
        "page": Paginator(found, 50).get_page(request.GET.get("page")),
        "given": given,
        "filtered": any(given.values()),
        "sort": sort if sort in _SORTS else "name",
        "units": Unit.objects.visible_to(request.user),
        "roles": Role.choices,
        "invited": Invitation.objects.visible_to(request.user).open().count(),
    }
    return render(request, "accounts/users.html", context)


def _columns() -> list[tuple[Any, Any]]:
    return [
        (_("Name"), "name"),
        (_("E-mail"), "email"),
        (_("Position"), "title"),
        (_("Phone"), "phone"),
        (_("Unit"), "unit.name"),
        (_("Role"), "get_role_display"),
        (_("Active"), "is_active"),
        (_("Second factor"), "has_factor"),
        (_("Locked"), "locked"),
        (_("Last seen"), "seen_at"),
    ]


@require_http_methods(["GET", "POST"])
@needs("users.manage")
def user(request: HttpRequest, pk: int) -> HttpResponse:
    """One person: the form, sessions, factors, keys, and what would be left behind."""
    person = get_object_or_404(User.objects.visible_to(request.user).select_related("unit"), pk=pk)
    values = {name: getattr(person, name) for name in (*people.MANAGED, "version")}
    form, status, changed = PersonForm(initial=values, by=request.user), 200, None
    if request.method == "POST":
        form, status = PersonForm(request.POST, initial=values, by=request.user), 400
        if form.is_valid():
            try:
                people.change_person(request.user, pk, form.cleaned_data["version"], form.cleaned_data)
            except ValidationError as error:
                form.add_error(None, error)
            except Changed as conflict:
                changed, status = conflict.current, 409
                form.data = form.data.copy()
                form.data["version"] = str(changed.version)
            else:
                messages.success(request, _("Saved."))
                return redirect("accounts:user", pk)
    context = {
        "person": person,
        "form": form,
        "changed": changed,
        "message": Changed.message,
        "locked_until": lockout.locked_until(person),
        "sessions": sessions.sessions_of(person),
        "factors": Authenticator.objects.filter(user=person).order_by("type", "pk"),
        "keys": ApiKey.objects.filter(owner=person).usable(),
        "left": left_behind(person),
    }
    return render(request, "accounts/user.html", context, status=status)


@require_POST
@needs("users.manage")
def act(request: HttpRequest, pk: int) -> HttpResponse:
    """Deactivate, activate, unlock somebody, or end sessions."""
    person = get_object_or_404(User.objects.visible_to(request.user), pk=pk)
    action, version = request.POST.get("action", ""), request.POST.get("version", "")
    if action in ("activate", "deactivate") and whole(version) is None:
        raise Http404
    try:
        if action == "deactivate":
            people.deactivate(request.user, pk, int(version))
            messages.success(request, _("The account is inactive; its sessions and keys have ended."))
        elif action == "activate":
            people.activate(request.user, pk, int(version))
            messages.success(request, _("The account is active again."))
        elif action == "unlock":
            lockout.unlock(request.user, person)
            messages.success(request, _("The account is unlocked."))
        elif action == "end_session" and (session := whole(request.POST.get("session"))) is not None:
            if sessions.end_session(request.user, person, session):
                messages.success(request, _("The session has ended."))
        elif action == "end_sessions":
            own = request.session.session_key if person.pk == request.user.pk else None
            ended = sessions.end_all_sessions(request.user, person, but=own)
            messages.success(request, ngettext("%(n)s session ended.", "%(n)s sessions ended.", ended) % {"n": ended})
        else:
            raise Http404
    except Changed as conflict:
        messages.error(request, str(conflict))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("accounts:user", pk)


@require_POST
@needs("users.manage")
@reauthentication_required(app="allauth.mfa")
def reset_factors(request: HttpRequest, pk: int) -> HttpResponse:
    """Take somebody's second factors away; whoever does it proves to be it first."""
    get_object_or_404(User.objects.visible_to(request.user), pk=pk)
    try:
        people.reset_factors(request.user, pk)
        messages.success(request, _("The second factor is gone; the person sets up a new one at the next sign-in."))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("accounts:user", pk)


@require_http_methods(["GET", "POST"])
@needs("users.manage")
@never_cache
def invited(request: HttpRequest) -> HttpResponse:
    """Invitations, open ones first; invites somebody, and shows the link this once."""
    form, link, made = InvitationForm(by=request.user), "", None
    if request.method == "POST":
        form = InvitationForm(request.POST, by=request.user)
        if form.is_valid():
            try:
                made, link = invitations.invite(request.user, **form.cleaned_data)
                form = InvitationForm(by=request.user)
            except ValidationError as error:
                form.add_error(None, error)
    return _invitations(request, form, made, link)


@require_POST
@needs("users.manage")
@never_cache
def invitation(request: HttpRequest, pk: int) -> HttpResponse:
    """Send an invitation again, or revoke it."""
    found = get_object_or_404(Invitation.objects.visible_to(request.user), pk=pk)
    link = ""
    try:
        if request.POST.get("action") == "again":
            link = invitations.invite_again(request.user, found)
        else:
            invitations.revoke(request.user, found)
            messages.success(request, _("The invitation has been revoked."))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    if not link:
        return redirect("accounts:invitations")
    return _invitations(request, InvitationForm(by=request.user), found, link)


def _invitations(request: HttpRequest, form: InvitationForm, made: Invitation | None, link: str) -> HttpResponse:
    found = Invitation.objects.visible_to(request.user).select_related("unit", "invited_by", "user")
    context = {
        "form": form,
        "made": made,
        "link": link,
        "page": Paginator(found, 50).get_page(request.GET.get("page")),
    }
    return render(request, "accounts/invitations.html", context, status=400 if form.errors else 200)
