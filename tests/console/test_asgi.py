"""The ASGI application: pages in a bounded number of threads that keep their connections; streams hold none."""

import asyncio
import threading

import pytest
from django.db import connections
from django.http import JsonResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path

from khien.console import asgi

pytestmark = pytest.mark.django_db(transaction=True)
SEEN: set[int] = set()
OPEN: dict[int, object] = {}


def page(request):
    from khien.console.units.models import UnitKind

    SEEN.add(threading.get_ident())
    count = UnitKind.objects.count()
    wrapper = connections["default"]
    OPEN[id(wrapper.connection)] = wrapper
    return JsonResponse({"count": count})


async def stream(request):
    async def parts():
        yield b"begin\n"
        await asyncio.sleep(30)
        yield b"end\n"

    return StreamingHttpResponse(parts(), content_type="text/event-stream")


@pytest.fixture(autouse=True)
def closed(transactional_db):
    """The threads keep their connections; a test database wants none at its end."""
    yield
    for wrapper in OPEN.values():
        wrapper.inc_thread_sharing()
        wrapper.close()
    OPEN.clear()


urlpatterns = [path("page", page), path("stream", stream)]


async def _ask(address: str, until: str = "") -> tuple[int, bytes]:
    """The status and the body, or the body up to some words."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": address,
        "raw_path": address.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 1),
        "asgi": {"version": "3.0"},
    }
    told: asyncio.Queue = asyncio.Queue()
    gone = asyncio.Event()
    asked = False

    async def receive():
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    task = asyncio.ensure_future(asgi.application(scope, receive, told.put))
    status, body = 0, b""
    while True:
        message = await asyncio.wait_for(told.get(), 20)
        status = message.get("status", status)
        body += message.get("body", b"")
        if (until and until.encode() in body) or (
            message["type"] == "http.response.body" and not message.get("more_body")
        ):
            break
    gone.set()
    await asyncio.wait_for(task, 20)
    return status, body


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=["django.middleware.common.CommonMiddleware"])
def test_many_requests_share_few_threads_and_connections():
    SEEN.clear()
    OPEN.clear()

    async def many():
        return [answer for _ in range(4) for answer in await asyncio.gather(*(_ask("/page") for _ in range(60)))]

    answers = asyncio.run(many())
    assert {status for status, _ in answers} == {200}
    assert len(SEEN) <= asgi.THREADS
    assert len(OPEN) <= asgi.THREADS


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=["django.middleware.common.CommonMiddleware"])
def test_open_streams_hold_no_thread():
    async def crowd():
        streams = [asyncio.ensure_future(_ask("/stream", "begin")) for _ in range(3 * asgi.THREADS)]
        done = await asyncio.gather(*streams)
        holding = [asyncio.ensure_future(_ask("/stream", "never")) for _ in range(3 * asgi.THREADS)]
        await asyncio.sleep(0.5)
        answer = await asyncio.wait_for(_ask("/page"), 5)
        for each in holding:
            each.cancel()
        await asyncio.gather(*holding, return_exceptions=True)
        return done, answer

    done, answer = asyncio.run(crowd())
    assert {status for status, _ in done} == {200}
    assert answer[0] == 200
