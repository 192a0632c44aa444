"""Telling other systems what happens: what the audit trail says of things, and alerts that arrive.

Each event goes to the webhooks that ask for it and whose owner sees the thing it is about, as JSON:
`{"id", "event", "at", "about": {"type", "id", "number"}, "data"}`; `data` is null for what is kept to those named
(TLP:RED, TLP:AMBER+STRICT): a key of theirs gets it from the API. The header `Khien-Signature: t=SECONDS,v1=HEX` is
HMAC-SHA-256 with the webhook's secret over `SECONDS.BODY`. What does not answer with 2xx within 10 s is tried again for
about a day; redirects are not followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import json
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
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
_ROUND_SECONDS = 60.0
"""After so long, sending lets looking for what has happened have its turn."""
MOST_HOOKS = 20
"""Webhooks of one person."""
_WAIT_MOST = timedelta(days=3)
_SETTLED = timedelta(seconds=5)
_SAFE = "/%:=&?~#+!$,;'@()*[]"
FAMILIES = ("alert", "incident", "directive", "task")
_MODELS: dict[str, type[models.Model]] = {
    model._meta.label_lower: model for model in (Alert, Incident, Directive, Task)
}
_NAMED = {
    Alert: ("unit", "system", "owner"),
    Incident: ("unit", "leader"),
    Directive: (),
    Task: ("unit", "assignee", "incident"),
}
"""What is read together with each, since it is shown."""
_WRAPPING = [ipaddress.ip_network(each) for each in ("64:ff9b::/96", "2001::/32", "2002::/16")]
"""Addresses of IPv6 that stand for one of IPv4, perhaps an inner one."""


def add_webhook(by: User, *, name: str, url: str, events: Iterable[str]) -> Webhook:
    """A webhook of one's own; its `secret` is shown once. Raises ValidationError for an address it may not have."""
    demand(by, "work")
    chosen = [event for event in events if event]
    wrong = [event for event in chosen if event.partition(".")[0] not in FAMILIES]
    if wrong or not chosen:
        raise ValidationError({"events": _("Events are like alert.*, incident.close, task.finish or directive.issue.")})
    check_address(url)
    with transaction.atomic():
        hold_trail()
        if Webhook.objects.filter(owner=by).count() >= MOST_HOOKS:
            raise ValidationError(_("You have %(n)s webhooks already: remove one first.") % {"n": MOST_HOOKS})
        hook = Webhook.objects.create(name=name, url=url, events=chosen, secret=secrets.token_urlsafe(32), owner=by)
        record(by, "webhook.add", hook, after={"name": name, "url": url, "events": chosen})
    return hook


def remove_webhook(by: User, pk: int) -> None:
    """Take one of one's own away, with what waits for it."""
    demand(by, "work")
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
        address = getattr(address, "ipv4_mapped", None) or address
        named = any(address in network for network in inside)
        public = address.is_global and not address.is_multicast and not any(address in each for each in _WRAPPING)
        if not named and (parts.scheme != "https" or not public):
            raise ValidationError({"url": _("Only https to public addresses, or to networks the operator has named.")})
    if parts.scheme not in ("http", "https") or not found or parts.username:
        raise ValidationError({"url": _("Only https to public addresses, or to networks the operator has named.")})
    return str(found[0][4][0])


Present = Callable[[User, models.Model], Any]
"""A thing as the API shows it to a person."""


def collect(present: Present) -> int:
    """Make deliveries of what has happened since the last time; how many. Looking holds no lock, only keeping does."""
    hooks = list(Webhook.objects.filter(is_active=True, owner__is_active=True).select_related("owner__unit"))
    return _from_audit(hooks, present) + _from_alerts(hooks, present)


def _mark(name: str, latest: Callable[[], int]) -> Mark:
    """Where one has got to; the first time it begins with now."""
    return Mark.objects.filter(pk=name).first() or Mark.objects.create(name=name, number=latest())


def _keep(mark: Mark, number: int, made: list[Delivery]) -> int:
    """Keep what was made and how far one has looked, unless another has looked meanwhile."""
    with transaction.atomic():
        if not Mark.objects.filter(pk=mark.pk, number=mark.number).update(number=number):
            return 0
        Delivery.objects.bulk_create(made, batch_size=100)
    return len(made)


def _from_audit(hooks: list[Webhook], present: Present) -> int:
    mark = _mark("audit", lambda: Entry.objects.order_by("-number").values_list("number", flat=True).first() or 0)
    entries = list(Entry.objects.filter(number__gt=mark.number).order_by("number")[:_AT_ONCE])
    if not entries:
        return 0
    made = []
    for entry in entries:
        model = _MODELS.get(entry.target_type)
        if model is not None and entry.action.partition(".")[0] in FAMILIES:
            made += _deliveries(hooks, entry.action, model, {int(entry.target_id): entry.at}, present)
    return _keep(mark, entries[-1].number, made)


def _from_alerts(hooks: list[Webhook], present: Present) -> int:
    mark = _mark("alerts", lambda: Alert.objects.order_by("-pk").values_list("pk", flat=True).first() or 0)
    rows = Alert.objects.filter(pk__gt=mark.number)
    if connection.features.has_select_for_update:
        # Where several write at once, a lower number may be committed after a higher one: wait until all are.
        rows = rows.filter(arrived_at__lte=timezone.now() - _SETTLED)
    new = list(rows.order_by("pk").values_list("pk", "arrived_at")[:_AT_ONCE])
    return _keep(mark, new[-1][0], _deliveries(hooks, "alert.arrive", Alert, dict(new), present)) if new else 0


def _deliveries(
    hooks: list[Webhook], event: str, model: type[models.Model], when: dict[int, Any], present: Present
) -> list[Delivery]:
    """Deliveries of one event about some things; `when` it happened to each, by id."""
    made = []
    kind = model._meta.model_name or ""
    capability = "tasks.work" if kind == "task" else f"{kind}s.view"
    for hook in hooks:
        if not hook.owner.may(capability) or not any(fnmatchcase(event, wanted) for wanted in hook.events):
            continue
        seen = model._default_manager.visible_to(hook.owner).filter(pk__in=list(when))  # type: ignore[attr-defined]
        for thing in seen.select_related(*_NAMED[model]).order_by("pk"):
            body = {
                "id": secrets.token_hex(16),
                "event": event,
                "at": when[thing.pk],
                "about": {"type": kind, "id": thing.pk, "number": getattr(thing, "number", None)},
                "data": None if _kept_close(thing) else present(hook.owner, thing),
            }
            text = json.dumps(body, cls=DjangoJSONEncoder, ensure_ascii=False)
            made.append(Delivery(webhook=hook, event=event, about=f"{kind} {thing.pk}", body=text))
    return made


def _kept_close(thing: models.Model) -> bool:
    """Whether it is, or is of, an incident kept to those named: what it says does not leave the console by itself."""
    incident = thing.incident if isinstance(thing, Task) else thing if isinstance(thing, Incident) else None
    return incident is not None and incident.is_sensitive


def deliver(now: Any = None) -> int:
    """Send what is due; how many were tried. One that does not answer holds up the others of its webhook only."""
    now = now or timezone.now()
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING, next_try_at__lte=now)
    due = waiting.filter(webhook__is_active=True, webhook__owner__is_active=True)
    tried, failed, until = 0, set(), time.monotonic() + _ROUND_SECONDS
    for delivery in due.select_related("webhook").order_by("id")[:_AT_ONCE]:
        hook = delivery.webhook
        if time.monotonic() > until:
            break
        if hook.pk in failed:
            continue
        status, said = post(hook, delivery.body)
        tried += 1
        delivery.tries += 1
        delivery.answer = f"{status or ''} {said}".replace("\0", "\ufffd").strip()[:300]
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
                # The others of this address wait a while too: it is asked once, not once for each of them.
                rest = waiting.filter(webhook=hook).exclude(pk=delivery.pk)
                rest.update(next_try_at=now + timedelta(seconds=min(WAITS[delivery.tries - 1], 60)))
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
    ending: threading.Timer | None = None
    try:
        stream = socket.create_connection((address, port), timeout=_ANSWER_SECONDS)
        if parts.scheme == "https":
            context = ssl.create_default_context()
            stream = context.wrap_socket(stream, server_hostname=host, do_handshake_on_connect=False)
        connection.sock = stream
        # A timeout is for each piece that arrives; who answers byte by byte is cut off as well.
        ending = threading.Timer(_ANSWER_SECONDS, _cut, [stream])
        ending.daemon = True
        ending.start()
        if isinstance(stream, ssl.SSLSocket):
            stream.do_handshake()
        path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_SAFE)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": f"Khien/{__version__}",
            "Khien-Signature": sign(hook.secret, data, int(time.time())),
        }
        connection.request("POST", path, data, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(200).decode("utf-8", "replace")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return None, f"{type(error).__name__}: {error}"
    finally:
        if ending is not None:
            ending.cancel()
        connection.close()


def _cut(stream: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(stream, socket.SHUT_RDWR)


def forget_old(keep: timedelta = timedelta(days=30)) -> int:
    """Give up what has waited for long behind others, and delete deliveries done long ago; how many."""
    now = timezone.now()
    late = Delivery.objects.filter(state=Delivery.State.WAITING, created_at__lt=now - _WAIT_MOST)
    late.update(state=Delivery.State.GIVEN_UP, done_at=now)
    done = Delivery.objects.exclude(state=Delivery.State.WAITING)
    return int(done.filter(done_at__lt=timezone.now() - keep).delete()[0])
