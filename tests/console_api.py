"""A program that calls the API with a key, for tests."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from khien.console.accounts.keys import create_key, scopes_for
from khien.console.accounts.models import User

ALL = (
    "alerts:read", "alerts:write", "incidents:read", "incidents:write", "tasks:read", "tasks:write", "units:read",
    "directives:read", "directives:write",
)  # fmt: skip


class Api:
    """A program with a key."""

    def __init__(self, user: User, *scopes: str) -> None:
        wanted = scopes or ALL
        allowed = {name for name, _ in scopes_for(user)}
        chosen = [each for each in wanted if each in allowed]
        self.secret = ""
        if chosen:
            _, self.secret = create_key(user, "test", chosen, timezone.now() + timedelta(days=1))
        self.client = Client()

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        made = {"Authorization": f"Bearer {self.secret}", **headers}
        data = json.dumps(body) if body is not None else ""
        return self.client.generic(method, f"/api/v1{path}", data, "application/json", headers=made)

    def form(self, path: str, fields: Any, **headers: str) -> Any:
        """POST a form, with files."""
        made = {"Authorization": f"Bearer {self.secret}", **headers}
        return self.client.post(f"/api/v1{path}", fields, headers=made)
