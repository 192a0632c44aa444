"""Who calls: a program with an API key, on behalf of the key's owner, within the key's scopes."""

from __future__ import annotations

from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.security import HttpBearer

from khien.console.accounts import keys
from khien.console.accounts.models import ApiKey


class Key(HttpBearer):
    """`Authorization: Bearer khien_...`, a key that opens `scope`. The request's user becomes the owner."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        key = keys.authenticate(token)
        if key is None:
            return None
        if not key.may(self.scope):
            raise HttpError(403, f"The key does not open {self.scope}, or its owner's role may not")
        request.user = key.owner
        return key
