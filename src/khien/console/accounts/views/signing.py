"""Pages of signing in that need more than allauth's own."""

from __future__ import annotations

from allauth.mfa.webauthn.views import RemoveWebAuthnView
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from khien.console.accounts import sessions
from khien.console.accounts.access import needs
from khien.console.accounts.adapter import MfaAdapter
from khien.console.frame.given import whole


@require_http_methods(["GET", "POST"])
@needs("work")
def own_sessions(request: HttpRequest) -> HttpResponse:
    """Where one is signed in; ends one, or all others."""
    if request.method == "POST":
        chosen = request.POST.get("session", "")
        if chosen:
            if sessions.end_session(request.user, request.user, whole(chosen) or 0):
                messages.success(request, _("The session has ended."))
        else:
            ended = sessions.end_all_sessions(request.user, request.user, but=request.session.session_key)
            messages.success(request, ngettext("%(n)s session ended.", "%(n)s sessions ended.", ended) % {"n": ended})
        return redirect("usersessions_list")
    return render(request, "usersessions/usersession_list.html", {"sessions": sessions.sessions_of(request.user)})


class RemoveKeyView(RemoveWebAuthnView):
    """Takes a security key away, but not the last factor of a person whose role needs one."""

    def form_valid(self, form: object) -> HttpResponse:
        if not MfaAdapter().can_delete_authenticator(self.get_object()):
            messages.error(self.request, _("Your role needs a second factor: set up another one first."))
            return redirect("mfa_list_webauthn")
        return super().form_valid(form)
