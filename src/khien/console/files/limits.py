"""How large a request may be. Django receives a whole body before it asks who sent it, so this stands before it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

MOST_BODY = 2 << 30
"""Bytes of a request that names a session or a key: some files of the largest size together."""
MOST_ANONYMOUS = 5 << 20
"""Bytes of any other: signing in needs no more."""
Application = Callable[[Any, Any, Any], Awaitable[None]]


class _TooLarge(Exception):
    """The body goes on beyond what is allowed."""


class BodyLimit:
    """Answers 413 to a request whose body is, or says it is, larger than allowed; the rest is not received."""

    def __init__(self, answer: Application, *, most: int = MOST_BODY, anonymous: int = MOST_ANONYMOUS) -> None:
        self._answer, self._most, self._anonymous = answer, most, anonymous

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._answer(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        most = self._most if _names_somebody(headers) else self._anonymous
        started, taken = False, 0

        async def limited() -> Any:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body") or b"")
            if taken > most:
                raise _TooLarge
            return message

        async def noted(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        told = headers.get(b"content-length", b"0")
        if told.isdigit() and int(told) > most:
            await _refuse(send)
            return
        try:
            await self._answer(scope, limited, noted)
        except _TooLarge:
            if not started:
                await _refuse(send)


def _names_somebody(headers: dict[bytes, bytes]) -> bool:
    cookie = f"{settings.SESSION_COOKIE_NAME}=".encode()
    return b"authorization" in headers or cookie in headers.get(b"cookie", b"")


async def _refuse(send: Any) -> None:
    text = b"This request is too large."
    kind = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": [*kind, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": text})
