"""Telling other systems what happens: what the audit trail says of things, and alerts that arrive.

Each event goes to the webhooks that ask for it and whose owner sees the thing it is about, as JSON:
`{"id", "event", "at", "about": {"type", "id", "number"}, "data"}`. The header `Khien-Signature: t=SECONDS,v1=HEX` is
HMAC-SHA-256 with the webhook's secret over `SECONDS.BODY`. What does not answer with 2xx within 10 s is tried again for
about a day; redirects are not followed.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from khien import __version__
from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.alerts.models import Alert
from khien.console.api.models import Delivery, Mark, Webhook
from khien.console.audit.models import Entry
from khien.console.audit.services import hold_trail, record
from khien.console.directives.models import Directive, Task
from khien.console.incidents.models import Incident

WAITS = (10, 60, 300, 900, 3600, 10_800, 21_600, 43_200)
"""Seconds before each further try."""
_AT_ONCE = 500
_ANSWER_SECONDS = 10.0
FAMILIES = ("alert", "incident", "directive", "task")
_MODELS: dict[str, type[models.Model]] = {
    model._meta.label_lower: model for model in (Alert, Incident, Directive, Task)
}


def add_webhook(by: User, *, name: str, url: str, events: Iterable[str]) -> Webhook:
    """A webhook of one's own; its `secret` is shown once. Raises ValidationError for an address it may not have."""
    demand(by, "work")
    chosen = [event for event in events if event]
    wrong = [event for event in chosen if event.partition(".")[0] not in FAMILIES]
    if wrong or not chosen:
        raise ValidationError({"events": _("Events are like alert.*, incident.close, task.finish or directive.issue.")})
    check_address(url)
    with transaction.atomic():
        hook = Webhook.objects.create(name=name, url=url, events=chosen, secret=secrets.token_urlsafe(32), owner=by)
        record(by, "webhook.add", hook, after={"name": name, "url": url, "events": chosen})
    return hook


def remove_webhook(by: User, pk: int) -> None:
    """Take one of one's own away, with what waits for it."""
    with transaction.atomic():
        hold_trail()
        hook = Webhook.objects.select_for_update().get(pk=pk, owner=by)
        record(by, "webhook.remove", hook, before={"name": hook.name, "url": hook.url})
        hook.delete()


def check_address(url: str) -> str:
    """The network address to connect to. Raises ValidationError for what is not allowed.

    https only, and only public addresses, unless the operator named networks in KHIEN_WEBHOOK_NETWORKS: a webhook must
    not reach into the network that Khiên stands in.
    """
    parts = urlsplit(url)
    inside = [ipaddress.ip_network(each) for each in settings.WEBHOOK_NETWORKS]
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = socket.getaddrinfo(parts.hostname or "", port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise ValidationError({"url": _("The address cannot be resolved.")}) from error
    for *_rest, place in found:
        address = ipaddress.ip_address(place[0].partition("%")[0])
        named = any(address in network for network in inside)
        if not named and (parts.scheme != "https" or not address.is_global or address.is_multicast):
            raise ValidationError({"url": _("Only https to public addresses, or to networks the operator has named.")})
    if parts.scheme not in ("http", "https") or not found or parts.username:
        raise ValidationError({"url": _("Only https to public addresses, or to networks the operator has named.")})
    return str(found[0][4][0])


Present = Callable[[User, models.Model], Any]
"""A thing as the API shows it to a person."""


def collect(present: Present) -> int:
    """Make deliveries of what has happened since the last time; how many."""
    with transaction.atomic():
        hooks = list(Webhook.objects.filter(is_active=True).select_related("owner__unit"))
        made = _from_audit(hooks, present) + _from_alerts(hooks, present)
        Delivery.objects.bulk_create(made)
    return len(made)


def _mark(name: str, latest: Callable[[], int]) -> Mark:
    """Where one has got to, held; the first time it begins with now."""
    mark = Mark.objects.select_for_update().filter(pk=name).first()
    return mark or Mark.objects.create(name=name, number=latest())


def _from_audit(hooks: list[Webhook], present: Present) -> list[Delivery]:
    mark = _mark("audit", lambda: Entry.objects.order_by("-number").values_list("number", flat=True).first() or 0)
    entries = list(Entry.objects.filter(number__gt=mark.number).order_by("number")[:_AT_ONCE])
    if not entries:
        return []
    mark.number = entries[-1].number
    mark.save()
    made = []
    for entry in entries:
        model = _MODELS.get(entry.target_type)
        if model is not None and entry.action.partition(".")[0] in FAMILIES:
            made += _deliveries(hooks, entry.action, model, [int(entry.target_id)], entry.at, present)
    return made


def _from_alerts(hooks: list[Webhook], present: Present) -> list[Delivery]:
    mark = _mark("alerts", lambda: Alert.objects.order_by("-pk").values_list("pk", flat=True).first() or 0)
    new = list(Alert.objects.filter(pk__gt=mark.number).order_by("pk").values_list("pk", "arrived_at")[:_AT_ONCE])
    if not new:
        return []
    mark.number = new[-1][0]
    mark.save()
    made = []
    for pk, at in new:
        made += _deliveries(hooks, "alert.arrive", Alert, [pk], at, present)
    return made


def _deliveries(
    hooks: list[Webhook],
    event: str,
    model: type[models.Model],
    pks: list[int],
    at: Any,
    present: Present,
) -> list[Delivery]:
    made = []
    for hook in hooks:
        if not any(fnmatchcase(event, wanted) for wanted in hook.events):
            continue
        for thing in model._default_manager.visible_to(hook.owner).filter(pk__in=pks):  # type: ignore[attr-defined]
            kind = model._meta.model_name or ""
            if not hook.owner.may(
                f"{'tasks' if kind == 'task' else kind + 's'}.{'work' if kind == 'task' else 'view'}"
            ):
                continue
            body = {
                "id": secrets.token_hex(16),
                "event": event,
                "at": at,
                "about": {"type": kind, "id": thing.pk, "number": getattr(thing, "number", None)},
                "data": present(hook.owner, thing),
            }
            text = json.dumps(body, cls=DjangoJSONEncoder, ensure_ascii=False)
            made.append(Delivery(webhook=hook, event=event, about=f"{kind} {thing.pk}", body=text))
    return made


def deliver(now: Any = None) -> int:
    """Send what is due; how many were tried. One that does not answer holds up the others of its webhook only."""
    now = now or timezone.now()
    due = Delivery.objects.filter(state=Delivery.State.WAITING, next_try_at__lte=now, webhook__is_active=True)
    tried, failed = 0, set()
    for delivery in due.select_related("webhook").order_by("id")[:_AT_ONCE]:
        hook = delivery.webhook
        if hook.pk in failed:
            continue
        status, said = post(hook, delivery.body)
        tried += 1
        delivery.tries += 1
        delivery.answer = f"{status or ''} {said}".strip()[:300]
        if status is not None and 200 <= status < 300:
            delivery.state, delivery.done_at = Delivery.State.DELIVERED, now
            if hook.failing_since:
                hook.failing_since = None
                hook.save(update_fields=["failing_since"])
        else:
            failed.add(hook.pk)
            if delivery.tries > len(WAITS):
                delivery.state, delivery.done_at = Delivery.State.GIVEN_UP, now
            else:
                delivery.next_try_at = now + timedelta(seconds=WAITS[delivery.tries - 1])
            if not hook.failing_since:
                hook.failing_since = now
                hook.save(update_fields=["failing_since"])
        delivery.save()
    return tried


def sign(secret: str, body: bytes, at: int) -> str:
    """The value of the signature header."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def post(hook: Webhook, body: str) -> tuple[int | None, str]:
    """Send one body: the status and what was said, None when nothing answered. The address is checked at each try.

    The connection is made to the very address that was checked, so a name that changes between cannot lead inside.
    """
    try:
        address = check_address(hook.url)
    except ValidationError as error:
        return None, " ".join(error.messages)
    parts = urlsplit(hook.url)
    data = body.encode()
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
    try:
        raw = socket.create_connection((address, port), timeout=_ANSWER_SECONDS)
        connection.sock = (
            ssl.create_default_context().wrap_socket(raw, server_hostname=host) if parts.scheme == "https" else raw
        )
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": f"Khien/{__version__}",
            "Khien-Signature": sign(hook.secret, data, int(time.time())),
        }
        connection.request("POST", path, data, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(200).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return None, f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def forget_old(keep: timedelta = timedelta(days=30)) -> int:
    """Delete deliveries done long ago; how many."""
    done = Delivery.objects.exclude(state=Delivery.State.WAITING)
    return int(done.filter(done_at__lt=timezone.now() - keep).delete()[0])
