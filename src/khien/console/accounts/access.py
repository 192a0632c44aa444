"""Who may open a page or call a service."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from khien.console.accounts.middleware import go, page_of
from khien.console.accounts.models import User
from khien.console.accounts.roles import Role, roles_with

View = Callable[..., HttpResponse]


class Forbidden(PermissionDenied):
    """A person may not do this. `capability`: what the role lacks."""

    def __init__(self, capability: str) -> None:
        super().__init__(capability)
        self.capability = capability
        self.roles = [Role(role).label for role in roles_with(capability)]


def demand(user: User, capability: str) -> None:
    """Raises Forbidden for a person whose role lacks the capability. Every service begins with it."""
    if not user.may(capability):
        raise Forbidden(capability)


def needs(capability: str) -> Callable[[View], View]:
    """A view for people signed in whose role has the capability; others are sent to sign in, or told who may."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return go(request, redirect_to_login(page_of(request)).url)
            demand(request.user, capability)
            return view(request, *args, **kwargs)

        guarded.capability = capability  # type: ignore[attr-defined]
        return guarded

    return decorate


def quiet(view: View) -> View:
    """A view that pages ask by themselves: it keeps no session alive, so silence still ends one."""
    view.quiet = True  # type: ignore[attr-defined]
    return view
