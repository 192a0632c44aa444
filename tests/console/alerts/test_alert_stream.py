"""Live arrival: who waits hears of what their filter asks for and they may see, until the session ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from khien.console.accounts.models import User
from khien.console.alerts import arrivals
from khien.console.alerts.arrivals import Listener, stream
from khien.console.alerts.state import State

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(arrivals, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(arrivals, "CHECK_SECONDS", 0.3)
    watch = arrivals.Watch()
    monkeypatch.setattr(arrivals, "watch", watch)
    yield
    watch._thread.submit(connections.close_all).result()


def listener(client: Client, user: User, **state: str) -> Listener:
    shown = State.of(state)
    return Listener(user.pk, client.session.session_key, shown, shown.criteria(user), 0.0)


async def until(events: AsyncIterator[str], kind: str) -> str:
    async with asyncio.timeout(15):
        async for event in events:
            if f"event: {kind}" in event:
                return event
    raise AssertionError(f"no {kind}")


async def ready(*streams: AsyncIterator[str]) -> None:
    for events in streams:
        await until(events, "ready")
    async with asyncio.timeout(15):
        while arrivals.watch._newest is None:
            await asyncio.sleep(0.02)


def n_of(event: str) -> int:
    return int(json.loads(event.split("data: ")[1])["n"])


def test_each_hears_of_what_they_ask_for_and_may_see(province: Any, make_alert: Any, signed_in: Any) -> None:
    people = {who: (signed_in(province.people[who]), province.people[who]) for who in ("analyst", "health", "commune")}
    listeners = {
        "analyst": listener(*people["analyst"]),
        "severe": listener(*people["analyst"], q="level:high,critical"),
        "words": listener(*people["analyst"], q="comsvcs"),
        "health": listener(*people["health"]),
        "commune": listener(*people["commune"]),
    }

    async def main() -> dict[str, int]:
        streams = {name: stream(each) for name, each in listeners.items()}
        await ready(*streams.values())

        def arrive() -> None:
            make_alert(level=4, event={"a": "comsvcs.dll"}, title="x")
            make_alert(level=1, title="x")
            make_alert(level=1, unit=None, title="x")

        await asyncio.to_thread(arrive)
        heard = {}
        for name in ("analyst", "severe", "words", "health"):
            total = 0
            expected = {"analyst": 3, "severe": 1, "words": 1, "health": 2}[name]
            while total < expected:
                total += n_of(await until(streams[name], "alerts"))
            heard[name] = total
        assert listeners["commune"].heard.empty()
        for each in streams.values():
            await each.aclose()
        return heard

    assert asyncio.run(main()) == {"analyst": 3, "severe": 1, "words": 1, "health": 2}
    assert not arrivals.watch._listeners


@pytest.mark.parametrize("how", ["signed out", "made inactive", "another role", "too old"])
def test_the_stream_ends_when_the_person_may_listen_no_more(province: Any, signed_in: Any, how: str) -> None:
    client = signed_in(province.health)
    waiting = listener(client, province.health)

    def end() -> None:
        if how == "signed out":
            client.session.flush()
        elif how == "made inactive":
            User.objects.filter(pk=province.health.pk).update(is_active=False)
        elif how == "another role":
            User.objects.filter(pk=province.health.pk).update(role="press_officer")
        else:
            session = client.session
            session["began"] = (timezone.now() - timedelta(hours=13)).timestamp()
            session.save()

    async def main() -> None:
        events = stream(waiting)
        await ready(events)
        await asyncio.to_thread(end)
        await until(events, "end")

    asyncio.run(main())


def test_a_move_to_another_unit_changes_what_is_heard(province: Any, make_alert: Any, signed_in: Any) -> None:
    waiting = listener(signed_in(province.health), province.health)

    async def main() -> int:
        events = stream(waiting)
        await ready(events)
        await asyncio.to_thread(User.objects.filter(pk=province.health.pk).update, unit=province.units["xa-mau"])
        waiting.checked = 0
        await asyncio.to_thread(lambda: (arrivals._check(waiting), make_alert(), make_alert(unit="xa-mau")))
        event = await until(events, "alerts")
        await events.aclose()
        return n_of(event)

    assert asyncio.run(main()) == 1


def test_there_are_only_so_many_streams_of_a_person(
    province: Any, signed_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "MOST_OF_ONE", 1)
    client = signed_in(province.health)

    async def main() -> None:
        first, second = (stream(listener_) for listener_ in (listener_of(), listener_of()))
        await ready(first)
        await until(second, "end")
        await first.aclose()

    one, two = listener(client, province.health), listener(client, province.health)
    left = [one, two]

    def listener_of() -> Listener:
        return left.pop()

    asyncio.run(main())


def test_the_address_is_guarded(province: Any, signed_in: Any) -> None:
    assert Client().get("/alerts/stream/").status_code == 302
    assert signed_in(province.press).get("/alerts/stream/").status_code == 403
    assert signed_in(province.health).get("/alerts/stream/?q=level:x").status_code == 204
    answer = signed_in(province.health).get("/alerts/stream/")
    assert answer["Content-Type"] == "text/event-stream"
    assert answer["Cache-Control"] == "no-store"
    assert answer.is_async
