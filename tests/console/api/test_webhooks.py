"""Webhooks: signed, tried again, only what the owner sees, and never into the network that the service stands in."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from khien.console.alerts.services import close, create_alert
from khien.console.api import webhooks
from khien.console.api.models import Delivery, Webhook
from khien.console.api.presenting import present
from khien.console.directives.tasks import create_task

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
