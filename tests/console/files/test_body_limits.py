"""No request is received beyond what it may be, whatever it says of its length."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from khien.console.files.limits import BodyLimit


async def _reads_all(scope: Any, receive: Any, send: Any) -> None:
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def _ask(pieces: list[bytes], headers: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """The status, and how many pieces were received."""
    received, sent = 0, []

    async def receive() -> Any:
        nonlocal received
        received += 1
        return {"type": "http.request", "body": pieces[received - 1], "more_body": received < len(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    limit = BodyLimit(_reads_all, most=100, anonymous=10)
    asyncio.run(limit({"type": "http", "headers": headers}, receive, send))
    return sent[0]["status"], received


COOKIE = (b"cookie", b"a=b; sessionid=x")
KEY = (b"Authorization", b"Bearer x")


@pytest.mark.parametrize("header", [COOKIE, KEY])
def test_who_names_a_session_or_a_key_may_send_more(header: tuple[bytes, bytes]) -> None:
    assert _ask([b"x" * 50] * 2, [header]) == (200, 2)
    assert _ask([b"x" * 5] * 2, []) == (200, 2)
    assert _ask([b"x" * 50] * 2, []) == (413, 1)


def test_what_says_it_is_too_large_is_not_received() -> None:
    assert _ask([b"x"], [COOKIE, (b"content-length", b"101")]) == (413, 0)
    assert _ask([b"x"], [(b"content-length", b"11")]) == (413, 0)
    assert _ask([b"x"], [(b"content-length", b"10")]) == (200, 1)


def test_what_does_not_say_how_long_it_is_ends_at_the_limit() -> None:
    assert _ask([b"x" * 40] * 100, [COOKIE]) == (413, 3)
    assert _ask([b"x" * 40] * 100, [COOKIE, (b"content-length", b"1")]) == (413, 3)


def test_other_kinds_of_connections_pass() -> None:
    seen = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(BodyLimit(answer)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
