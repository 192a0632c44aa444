"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from khien import __version__
from khien.console.frame.navigation import doors_for


def frame(request: HttpRequest) -> dict[str, Any]:
    """The rail, and how the person likes pages to look."""
    user = getattr(request, "user", None)
    signed_in = user is not None and user.is_authenticated
    return {
        "doors": doors_for(user, request.path) if signed_in else [],
        "theme": user.theme if signed_in else request.COOKIES.get("theme", "auto"),
        "density": user.density if signed_in else "comfortable",
        "product_version": __version__,
    }
