"""Who may open what: every address of the console with every role, own and foreign unit, signed in and not.

What is expected stands in `access_matrix.yml`; an address that is missing there fails. The objects that addresses
name are made in `access_objects.py`, each of the department of health.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from console_api import Api
from console_objects import MAKERS, make_objects
from console_province import make_province, sign_in
from khien.console.accounts.keys import SCOPES

pytestmark = pytest.mark.django_db
MATRIX: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "access_matrix.yml").read_text())
PEOPLE = {
    "chair": "chair",
    "analyst": "analyst",
    "admin": "administrator",
    "auditor": "auditor",
    "health": "duty_officer",
    "hospital": "duty_officer",
    "commune": "duty_officer",
    "telecom": "telecom_liaison",
    "press": "press_officer",
}
OVERSEERS = {"chair", "analyst", "admin", "auditor"}
"""People of units that see all units."""
OF_HEALTH = OVERSEERS | {"health"}
"""Who sees what belongs to the department of health: the hospital is below it, the commune beside it."""


def addresses(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every address with its full name; allauth's and Django's own stand in the matrix too."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(each, URLResolver):
            name = f"{prefix}{each.namespace}:" if each.namespace else prefix
            yield from addresses(each.url_patterns, name)
        else:
            yield f"{prefix}{each.name or each.pattern}", each


ADDRESSES = dict(addresses())


def test_the_matrix_and_the_addresses_are_the_same() -> None:
    assert sorted(set(ADDRESSES) - set(MATRIX)) == [], "not in access_matrix.yml"
    assert sorted(set(MATRIX) - set(ADDRESSES)) == [], "no such address"


class _Undo(Exception):
    """Rolls back what asking did, so that each person finds the same."""


@dataclass
class World:
    """The province, one thing of each kind in it, and the session of each person."""

    province: Any
    objects: dict[str, Any]
    sessions: dict[str, str]

    def client(self, short: str) -> Client:
        """A client of a person, as if nothing had been asked yet."""
        client = Client()
        client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[short]
        return client


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Made once: each question's effects are rolled back."""
    with django_db_blocker.unblock(), contextlib.suppress(_Undo), transaction.atomic():
        province = make_province()
        objects = make_objects(province)
        clients = {short: sign_in(getattr(province, short)) for short in PEOPLE}
        yield World(province, objects, {short: str(client.session.session_key) for short, client in clients.items()})
        raise _Undo


def _url(name: str, rule: dict[str, Any], objects: dict[str, Any]) -> str:
    arguments = {}
    for key, maker in (rule.get("with") or {}).items():
        value = objects[maker] if maker in MAKERS else maker
        arguments[key] = getattr(value, "pk", value)
    return reverse(name, kwargs=arguments) + rule.get("query", "").format(
        **{key: getattr(value, "pk", value) for key, value in objects.items()}
    )


def _ask(client: Client, url: str) -> tuple[int, str]:
    """GET; where only POST is served, an empty POST: it may be refused as wrong, never as foreign."""
    answer = None
    with contextlib.suppress(_Undo), transaction.atomic():
        answer = client.get(url)
        if answer.status_code == 405:
            answer = client.post(url, {})
        raise _Undo
    return answer.status_code, answer.headers.get("Location", "")


CHECKED = sorted(name for name, rule in MATRIX.items() if not rule.get("skip") and "scope" not in rule)
OPERATIONS = sorted(name for name, rule in MATRIX.items() if "scope" in rule)


@pytest.mark.parametrize("name", CHECKED)
def test_each_person_gets_what_the_matrix_says(name: str, world: World) -> None:
    rule = MATRIX[name]
    url = _url(name, rule, world.objects)
    status, location = _ask(Client(), url)
    if rule.get("public"):
        assert status not in (401, 403, 500), ("anonymous", status)
    else:
        to_sign_in = status == 302 and "/account/login" in location
        assert to_sign_in or status in (401, 403), ("anonymous", status, location)
    may = set(PEOPLE.values()) if rule.get("may") == "all" or rule.get("public") else set(rule["may"])
    sees = set(rule["sees"]) if "sees" in rule else OF_HEALTH if rule.get("own") == "health" else set(PEOPLE)
    found, expected = {}, {}
    for short, role in PEOPLE.items():
        status, _ = _ask(world.client(short), url)
        found[short] = status if status in (401, 403, 404) or status >= 500 else "opens"
        expected[short] = _expected(rule, short, role in may, short in sees, status)
    assert found == expected


def _expected(rule: dict[str, Any], short: str, may: bool, sees: bool, status: int) -> int | str:
    if not may:
        return 404 if status == 404 and not sees else 403
    if not sees:
        return 404
    if short in rule.get("refuses", ()):
        return 403
    return rule.get("answers", "opens")


LATER = "2030-01-01T00:00:00Z"


def _body(name: str, made: dict[str, Any]) -> dict[str, Any]:
    """A body that fits every operation: each takes what it knows."""
    unit = made["unit"].pk
    units: Any = [{"unit": unit}] if name in ("api:draft_directive", "api:change_draft") else [unit]
    return {
        "title": "Mới", "text": "Đã làm", "reason": "Vì thế", "percent": 5, "assignee": None, "owner": None,
        "until": LATER, "due_at": LATER, "unit": unit, "units": units, "level": 2,
        "status": "in_progress" if name == "api:set_alert_status" else "contained",
        "cause": "c", "effect": "e", "lessons": "l", "clocks_reason": "r", "into": made["other_incident"].pk,
        "values": ["198.51.100.7"], "recipient": "A05", "sent_at": "2026-01-02T00:00:00Z", "verdict": "benign",
        "entries": [made["entry"].pk], "at": "2026-01-02T00:00:00Z", "received": True, "sender": "a@b.vn", "to": "c@d.vn",
        "subject": "s", "tlp": "AMBER", "playbook": "malware", "numbers": [1], "token": "x", "description": "d",
        "collected_at": "2026-01-02T00:00:00Z", "collected_where": "w",
        "alert": made["alert"].pk, "expires_at": LATER, "name": "x", "starts_at": LATER,
        **({"tasks": [made["task"].pk]} if name in ("api:accept_tasks", "api:assign_tasks") else {}),
        "up": True, "minutes": "m", "rows": [{"id": made["attendance"].pk, "presence": "present"}],
        "alerts": [] if name in ("api:open_incident", "api:split_incident") else {made["alert"].pk: None}, "incident": made["incident"].pk if name == "api:link" else None,
        "version": made.get("version", 1),
    }  # fmt: skip


def _send(api: Api, method: str, path: str, body: dict[str, Any], rule: dict[str, Any]) -> Any:
    if "multipart" not in rule:
        return api(method, path, body)
    told = {name: value for name, value in body.items() if isinstance(value, str | int)}
    return api.form(path, {**told, rule["multipart"]: SimpleUploadedFile("a.txt", b"x")})


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_key_gets_what_the_matrix_says(name: str, world: World) -> None:
    rule, objects = MATRIX[name], world.objects
    url = _url(name, rule, objects)
    method = rule.get("method", "GET")
    path = url.removeprefix("/api/v1")
    assert Client().generic(method, url, "{}", "application/json").status_code == 401
    maker = (rule.get("with") or {}).get("pk")
    body = _body(name, {**objects, "version": getattr(objects.get(maker), "version", 1)})
    del body["version"]
    if maker is not None:
        body["version"] = getattr(objects[maker], "version", 1)
    may = set(PEOPLE.values()) if rule["may"] == "all" else set(rule["may"])
    found, expected = {}, {}
    for short, role in PEOPLE.items():
        person = getattr(world.province, short)
        with contextlib.suppress(_Undo), transaction.atomic():
            other = "units:read" if rule["scope"] != "units:read" else "tasks:read"
            assert Api(person, other)(method, path, body).status_code == 403, "a key without the scope"
            status = _send(Api(person, *SCOPES), method, path, body, rule).status_code
            found[short] = status if status in (401, 403, 404) or status >= 500 else "opens"
            raise _Undo
        sees = short in rule["sees"] if "sees" in rule else short in OF_HEALTH if rule.get("own") == "health" else True
        expected[short] = _expected(rule, short, role in may, sees, status)
    assert found == expected
