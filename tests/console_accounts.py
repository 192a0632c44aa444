"""What tests of signing in share."""

from __future__ import annotations

from typing import Any

from django.test import Client

PASSWORD = "correct horse battery"


def sign_in(client: Client, email: str, password: str = PASSWORD, **more: str) -> Any:
    """Post the sign-in page."""
    return client.post("/account/login/", {"login": email, "password": password, **more})
