"""Taking an invitation up."""

from __future__ import annotations

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from allauth.core import ratelimit
from django.contrib.auth import logout
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from khien.console.accounts import invitations
from khien.console.accounts.forms import JoinForm

_TOKEN = "invitation"  # noqa: S105


@never_cache
@require_GET
def join(request: HttpRequest, token: str) -> HttpResponse:
    """The link of the mail: the token goes into the session, out of the address, so that it is not handed on."""
    if request.user.is_authenticated:
        logout(request)
    request.session[_TOKEN] = token
    return redirect("accounts:join_form")


@sensitive_post_parameters("password1", "password2")
@never_cache
@require_http_methods(["GET", "POST"])
def join_form(request: HttpRequest) -> HttpResponse:
    """Choose a password; one is signed in then. Public: the token is the permission."""
    limited = ratelimit.consume_or_429(request, action="reset_password_from_key")
    if limited:
        return limited
    token = request.session.get(_TOKEN, "")
    invitation = invitations.find(token)
    if invitation is None:
        return render(request, "accounts/join.html", {"invitation": None}, status=404)
    data = request.POST if request.method == "POST" else None
    form = JoinForm(data, email=invitation.email, initial={"name": invitation.name})
    if data is not None and form.is_valid():
        values = form.cleaned_data
        try:
            user = invitations.accept(
                token,
                values["password1"],
                name=values["name"],
                phone=values["phone"],
                language="en" if (get_language() or "").startswith("en") else "vi",
            )
        except ValidationError as error:
            form.add_error(None, error)
        else:
            request.session.pop(_TOKEN, None)
            record_authentication(request, user, method="password", email=user.email, reauthenticated=True)
            return perform_login(request, Login(user=user, email=user.email))
    context = {"invitation": invitation, "form": form}
    return render(request, "accounts/join.html", context, status=400 if form.errors else 200)
