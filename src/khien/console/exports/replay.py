"""The request that makes a file, asked again: as the same person, with the rights of now."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.utils import timezone, translation
from django_htmx.middleware import HtmxDetails

from khien.console.accounts.models import User
from khien.console.exports.models import MadeFile
from khien.console.exports.progress import Permitted, asking_only
from khien.console.incidents.models import SENSITIVE, Incident
from khien.console.units.scoping import scope_ids

Form = Mapping[str, Sequence[str]]


class Refused(Exception):
    """The person may not have it any more, or what it is made of is gone."""


def form_of(request: HttpRequest) -> dict[str, list[str]] | None:
    """What a form sent; None for GET."""
    if request.method != "POST":
        return None
    return {name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"}


def ask_again(made: MadeFile, by: User) -> HttpResponseBase:
    """The answer to the request of a file. Raises Refused."""
    request = HttpRequest()
    path, _, query = made.address.partition("?")
    request.path = request.path_info = path
    request.GET = QueryDict(query)
    request.META |= {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "QUERY_STRING": query}
    request.method = "GET" if made.form is None else "POST"
    if made.form is not None:
        request.POST = QueryDict(mutable=True)  # type: ignore[assignment]
        for name, values in made.form.items():
            request.POST.setlist(name, values)
    request.user, request.session = by, SessionStore()
    request.htmx = HtmxDetails(request)  # type: ignore[attr-defined]
    try:
        found = resolve(path)
        with translation.override(made.language):
            return found.func(request, *found.args, **found.kwargs)
    except (Http404, PermissionDenied) as error:
        raise Refused from error


def demand_still(made: MadeFile, by: User) -> None:
    """Raises Refused where the person may not make the file any more, or may not see all that it tells."""
    if _lost(made.rights, rights_of(by), made.ended_at or made.asked_at):
        raise Refused
    with asking_only():
        try:
            ask_again(made, by)
        except Permitted:
            return
    raise Refused


def rights_of(user: User) -> dict[str, Any]:
    """What a person sees, to be compared later. `hidden`: sensitive incidents kept from them. Raises Refused."""
    if not user.is_active:
        raise Refused
    ids = scope_ids(user)
    scope = "all" if ids is None else hashlib.sha256(",".join(map(str, sorted(ids))).encode()).hexdigest()
    sensitive = Incident.objects.visible_to(user).filter(tlp__in=SENSITIVE)
    return {
        "role": user.role,
        "scope": scope,
        "sensitive": sorted(sensitive.values_list("pk", flat=True)),
        "hidden": sorted(Incident.objects.kept_from(user).values_list("pk", flat=True)),
    }


def rights_after(user: User, before: Mapping[str, Any]) -> dict[str, Any]:
    """What a person sees once a file is made. Raises Refused where that is less than before it was made."""
    now = rights_of(User.objects.get(pk=user.pk))
    if _lost(before, now, timezone.now()):
        raise Refused
    return now


def _lost(then: Mapping[str, Any], now: Mapping[str, Any], made_at: datetime) -> bool:
    """Whether a file made with some rights may tell more than a person sees now."""
    if (then["role"], then["scope"]) != (now["role"], now["scope"]) or set(then["sensitive"]) - set(now["sensitive"]):
        return True
    # What became sensitive since then may stand in the file; what was opened after it does not.
    hidden = set(now["hidden"]) - set(then["hidden"])
    return Incident.objects.filter(pk__in=hidden, created_at__lte=made_at).exists()
