"""Webhooks: signed, tried again, only what the owner sees, and never into the network that the service stands in."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from khien.console.alerts.services import close, create_alert
from khien.console.api import webhooks
from khien.console.api.models import Delivery, Webhook
from khien.console.api.presenting import present
from khien.console.directives.tasks import create_task
from khien.console.incidents.services import open_incident

pytestmark = pytest.mark.django_db


class Receiver:
    """A real server on this machine. `answers`: the statuses it gives, the last one for ever."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers = [204]
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(autouse=True)
def at_once(monkeypatch) -> None:
    monkeypatch.setattr(webhooks, "_SETTLED", timedelta(0))


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    made = Receiver()
    yield made
    made.server.shutdown()


def add(user, receiver, *events) -> Webhook:
    hook = webhooks.add_webhook(user, name="SIEM", url=receiver.url, events=events or ("alert.*", "task.*"))
    webhooks.collect(present)  # what was before it is not told
    return hook


def test_what_happens_is_told_signed_and_once(province, receiver):
    hook = add(province.analyst, receiver)
    alert = create_alert(province.analyst, title="Dấu vết", level=3, unit=province.units["so-y-te"])
    close(province.analyst, [alert], verdict="benign")
    assert webhooks.collect(present) >= 2
    assert webhooks.collect(present) == 0
    webhooks.deliver()
    assert webhooks.deliver() == 0
    events = [json.loads(body) for _, body in receiver.got]
    assert {"alert.arrive", "alert.close"} <= {each["event"] for each in events}
    assert len({each["id"] for each in events}) == len(events)
    assert events[0]["about"] == {"type": "alert", "id": alert.pk, "number": None}
    assert events[0]["data"]["title"] == "Dấu vết"
    headers, body = receiver.got[0]
    at, _, given = headers["Khien-Signature"].partition(",")
    expected = hmac.new(hook.secret.encode(), at.removeprefix("t=").encode() + b"." + body, hashlib.sha256).hexdigest()
    assert given == f"v1={expected}"


def test_only_what_its_owner_sees_and_asked_for_is_told(province, receiver):
    add(province.health, receiver, "task.*")
    due = timezone.now() + timedelta(days=1)
    create_task(province.analyst, unit=province.units["so-y-te"], title="Của mình", due_at=due)
    create_task(province.analyst, unit=province.units["xa-mau"], title="Của người khác", due_at=due)
    create_alert(province.analyst, title="Không hỏi", level=3, unit=province.units["so-y-te"])
    webhooks.collect(present)
    webhooks.deliver()
    assert [json.loads(body)["data"]["title"] for _, body in receiver.got] == ["Của mình"]


def test_what_is_not_taken_is_tried_again_later_and_given_up_in_the_end(province, receiver):
    hook = add(province.analyst, receiver, "alert.arrive")
    receiver.answers = [500, 302, 200]
    create_alert(province.analyst, title="Dấu vết", level=3, unit=province.units["so-y-te"])
    webhooks.collect(present)
    now = timezone.now()
    assert webhooks.deliver(now) == 1
    assert webhooks.deliver(now) == 0, "not before its time"
    hook.refresh_from_db()
    assert hook.failing_since is not None
    webhooks.deliver(now + timedelta(seconds=11))
    assert Delivery.objects.get().state == "waiting", "a redirect is not followed"
    webhooks.deliver(now + timedelta(minutes=5))
    assert Delivery.objects.get().state == "delivered"
    hook.refresh_from_db()
    assert hook.failing_since is None
    receiver.answers = [500]
    create_alert(province.analyst, title="Khác", level=3, unit=province.units["so-y-te"])
    webhooks.collect(present)
    for days in range(1, 12):
        webhooks.deliver(now + timedelta(days=days))
    assert Delivery.objects.order_by("-id")[0].state == "given_up"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/",
        "https://127.0.0.1/",
        "https://10.0.0.5/x",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::10.0.0.5]/",
        "https://[2002:a00:5::1]/",
        "http://203.0.113.9/",
        "https://0.0.0.0/",
        "https://localhost/",
        "ftp://198.51.100.1/",
        "https:///x",
        "https://no-such-host.invalid/",
        "https://127.0.0.1:99999/",
    ],
)
def test_an_address_inside_or_without_tls_is_refused(province, url):
    with pytest.raises(ValidationError):
        webhooks.add_webhook(province.analyst, name="x", url=url, events=["alert.*"])


def test_events_that_there_are_not_are_refused(province, receiver):
    for events in ([], ["user.*"], [""]):
        with pytest.raises(ValidationError):
            webhooks.add_webhook(province.analyst, name="x", url=receiver.url, events=events)


def test_the_page_shows_the_secret_once_and_ones_own_only(province, signed_in, receiver):
    client = signed_in(province.analyst)
    made = client.post("/api/webhooks/", {"name": "SIEM", "url": receiver.url, "events": "alert.* task.finish"})
    hook = Webhook.objects.get()
    assert hook.events == ["alert.*", "task.finish"]
    assert hook.secret in made.content.decode()
    assert hook.secret not in client.get("/api/webhooks/").content.decode()
    other = signed_in(province.chair, "vi")
    assert receiver.url not in other.get("/api/webhooks/").content.decode()
    assert other.get(f"/api/webhooks/{hook.pk}/").status_code == 404
    assert other.post(f"/api/webhooks/{hook.pk}/remove").status_code == 404
    assert client.get(f"/api/webhooks/{hook.pk}/").status_code == 200
    client.post(f"/api/webhooks/{hook.pk}/remove")
    assert not Webhook.objects.exists()
    refused = client.post("/api/webhooks/", {"name": "x", "url": "https://10.0.0.1/", "events": "alert.*"})
    assert refused.status_code == 400
    assert "10.0.0.1" in refused.content.decode()


def test_what_is_kept_to_those_named_is_told_of_without_what_it_says(province, receiver):
    add(province.analyst, receiver, "incident.*", "task.*")
    incident = open_incident(
        province.analyst, title="Kín", level=4, unit=province.units["so-y-te"], tlp="RED", leader=province.analyst
    )
    due = timezone.now() + timedelta(days=1)
    create_task(province.analyst, unit=province.units["so-y-te"], title="Kín nữa", due_at=due, incident=incident)
    assert webhooks.collect(present) >= 2
    webhooks.deliver()
    assert {json.loads(body)["data"] for _, body in receiver.got} == {None}
    assert all("Kín" not in body.decode() for _, body in receiver.got)


def test_an_address_with_letters_that_http_has_not_holds_up_no_other(province, receiver):
    hook = add(province.analyst, receiver, "alert.arrive")
    Webhook.objects.filter(pk=hook.pk).update(url=receiver.url + "/đường dẫn?x=ă")
    add(province.chair, receiver, "alert.arrive")
    create_alert(province.analyst, title="Dấu vết", level=3, unit=province.units["so-y-te"])
    webhooks.collect(present)
    assert webhooks.deliver() == 2
    assert len(receiver.got) == 2


def test_an_answer_with_nul_is_kept(province, receiver, monkeypatch):
    add(province.analyst, receiver, "alert.arrive")
    create_alert(province.analyst, title="Dấu vết", level=3, unit=province.units["so-y-te"])
    webhooks.collect(present)
    monkeypatch.setattr(webhooks, "post", lambda hook, body: (500, "a\0b"))
    webhooks.deliver()
    assert Delivery.objects.get().answer == "500 a\ufffdb"


def test_who_answers_byte_by_byte_is_cut_off(province, settings, monkeypatch):
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    monkeypatch.setattr(webhooks, "_ANSWER_SECONDS", 0.6)
    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        stream, _ = server.accept()
        with contextlib.suppress(OSError):
            while True:
                stream.sendall(b"HTTP/1.1 200 OK\r\nX: y"[:1])
                time.sleep(0.1)

    threading.Thread(target=drip, daemon=True).start()
    hook = Webhook(url=f"http://127.0.0.1:{server.getsockname()[1]}/", secret="x")
    began = time.monotonic()
    status, _said = webhooks.post(hook, "{}")
    assert status is None
    assert time.monotonic() - began < 5
    server.close()


def test_one_that_does_not_answer_is_asked_once_for_all_that_waits(province, receiver):
    add(province.analyst, receiver, "alert.arrive")
    receiver.answers = [500]
    for number in range(5):
        create_alert(province.analyst, title=f"Dấu vết {number}", level=3, unit=province.units["so-y-te"])
    webhooks.collect(present)
    now = timezone.now()
    assert webhooks.deliver(now) == 1
    assert webhooks.deliver(now + timedelta(seconds=2)) == 0


def test_looking_makes_a_bounded_number_of_queries(province, receiver, django_assert_max_num_queries):
    add(province.analyst, receiver, "alert.arrive")
    for number in range(30):
        create_alert(province.analyst, title=f"Dấu vết {number}", level=3, unit=province.units["so-y-te"])
    with django_assert_max_num_queries(25):
        assert webhooks.collect(present) == 30


def test_nobody_has_very_many(province, receiver):
    for _ in range(webhooks.MOST_HOOKS):
        add(province.analyst, receiver)
    with pytest.raises(ValidationError):
        add(province.analyst, receiver)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="one writes at a time")
def test_alerts_are_told_of_when_none_of_a_lower_number_can_follow(province, receiver, monkeypatch):
    add(province.analyst, receiver, "alert.arrive")
    monkeypatch.setattr(webhooks, "_SETTLED", timedelta(minutes=1))
    alert = create_alert(province.analyst, title="Dấu vết", level=3, unit=province.units["so-y-te"])
    assert webhooks.collect(present) == 0
    type(alert).objects.filter(pk=alert.pk).update(arrived_at=timezone.now() - timedelta(minutes=2))
    assert webhooks.collect(present) == 1
