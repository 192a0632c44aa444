"""Each list of the console, and each document, can be made by the worker."""

from __future__ import annotations

import pytest
from django.urls import reverse

from console_objects import make_objects
from khien.console.exports import documents, services
from khien.console.exports.models import FileState, MadeFile

pytestmark = pytest.mark.django_db
LISTS = {
    "alerts:queue": "analyst",
    "alerts:exceptions": "analyst",
    "incidents:list": "analyst",
    "incidents:indicators": "analyst",
    "tasks:list": "analyst",
    "tasks:boards": "analyst",
    "directives:list": "chair",
    "sessions:list": "chair",
    "systems:list": "analyst",
    "units:list": "admin",
    "units:subcommittee": "admin",
    "accounts:users": "admin",
    "audit:list": "auditor",
    "notifications:deliveries": "admin",
}
DOCUMENTS = {
    "sessions:minutes_docx": "concluded",
    "sessions:notice_pdf": "concluded",
    "directives:docx": "directive",
    "directives:pdf": "directive",
}


@pytest.fixture
def objects(province, settings, tmp_path):
    """One thing of each kind."""
    settings.DATA = tmp_path
    return make_objects(province)


def _made(client, address: str) -> None:
    made = MadeFile.objects.get(address=address)
    assert made.state == FileState.READY, (address, made.reason)
    assert client.get(reverse("exports:download", args=[made.pk])).status_code == 200, address


def test_every_list(province, objects, signed_in, work):
    for name, who in LISTS.items():
        arguments = [objects["incident"].pk] if name == "incidents:indicators" else []
        address = reverse(name, args=arguments) + "?export=xlsx"
        person = getattr(province, who)
        services.ask(person, address, name)
        work()
        _made(signed_in(person), address)


def test_every_document(province, objects, signed_in, work, monkeypatch):
    monkeypatch.setattr(documents, "MOST_AT_ONCE", {"pdf": 0, "docx": 0})
    client = signed_in(province.chair)
    for name, thing in DOCUMENTS.items():
        address = reverse(name, args=[objects[thing].pk])
        assert client.get(address)["Location"] == reverse("exports:list"), address
        work()
        _made(client, address)
