"""Home, health, language and theme, and the pages that say what went wrong."""

from __future__ import annotations

import logging
import secrets

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from khien.console.accounts.access import Forbidden
from khien.console.accounts.middleware import LANGUAGE
from khien.console.frame.navigation import doors_for

_log = logging.getLogger(__name__)


def home(request: HttpRequest) -> HttpResponse:
    """The first page of the rail that the person may open."""
    if not request.user.is_authenticated:
        return redirect(settings.LOGIN_URL)
    doors = doors_for(request.user, request.path)
    return redirect(str(doors[0]["url"]) if doors else "account_change_password")


@require_GET
def health(request: HttpRequest) -> JsonResponse:
    """Whether the console answers and reaches its database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})


def back_to(request: HttpRequest, default: str = "/") -> HttpResponseRedirect:
    """Redirect to the address that the form named in `next`, if it is one of ours."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if not url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        wanted = default
    return HttpResponseRedirect(wanted)


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Choose the language; it is remembered for the person and for this browser."""
    chosen = request.POST.get("language", "")
    response = back_to(request)
    if chosen in dict(settings.LANGUAGES):
        request.session[LANGUAGE] = chosen
        response.set_cookie(
            LANGUAGE, chosen, max_age=31_536_000, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE, httponly=True
        )
        if request.user.is_authenticated and request.user.language != chosen:
            request.user.language = chosen
            request.user.save(update_fields=["language"])
    return response


@require_POST
def appearance(request: HttpRequest) -> HttpResponse:
    """Choose theme (auto, light, dark) and density (comfortable, compact)."""
    response = back_to(request)
    theme, density = request.POST.get("theme", ""), request.POST.get("density", "")
    if theme in ("auto", "light", "dark"):
        response.set_cookie("theme", theme, max_age=31_536_000, samesite="Lax", httponly=True)
        if request.user.is_authenticated:
            request.user.theme = theme
    if density in ("comfortable", "compact") and request.user.is_authenticated:
        request.user.density = density
    if request.user.is_authenticated:
        request.user.save(update_fields=["theme", "density"])
    return response


def unfit(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """What was sent cannot be taken; who asks for another host than ours learns just that."""
    if isinstance(exception, DisallowedHost):
        return HttpResponse(_("This request cannot be taken."), status=400, content_type="text/plain; charset=utf-8")
    return render(request, "frame/unfit.html", status=400)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Says which roles may."""
    roles = exception.roles if isinstance(exception, Forbidden) else []
    return render(request, "frame/forbidden.html", {"roles": roles}, status=403)


def missing(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Nothing here, or nothing this person may see: the answer is the same."""
    return render(request, "frame/missing.html", status=404)


def failed(request: HttpRequest) -> HttpResponse:
    """Says what to do, with a code that stands in the log too."""
    code = secrets.token_hex(4)
    _log.error("request failed, code %s: %s %s", code, request.method, request.path)
    return render(request, "frame/failed.html", {"code": code}, status=500)
