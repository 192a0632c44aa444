"""Each list of the console, and each document, can be made by the worker."""

from __future__ import annotations

import pytest
from django.urls import reverse

from console_objects import make_objects
from khien.console.exports import documents
from khien.console.exports.models import FileState, MadeFile
from khien.console.spreadsheets import exports as spreadsheets

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


def _made(client, who, address, work) -> None:
    assert client.get(address)["Location"] == reverse("exports:list"), address
    work()
    made = MadeFile.objects.get(address=address)
    assert made.state == FileState.READY, (address, made.reason)
    assert client.get(reverse("exports:download", args=[made.pk])).status_code == 200, address


def test_every_list(province, objects, signed_in, work, monkeypatch):
    monkeypatch.setattr(spreadsheets, "MOST_AT_ONCE", 0)
    for name, who in LISTS.items():
        arguments = [objects["incident"].pk] if name == "incidents:indicators" else []
        address = reverse(name, args=arguments) + "?export=xlsx"
        _made(signed_in(getattr(province, who)), who, address, work)


def test_every_document(province, objects, signed_in, work, monkeypatch):
    monkeypatch.setattr(documents, "MOST_AT_ONCE", {"pdf": 0, "docx": 0})
    client = signed_in(province.chair)
    for name, thing in DOCUMENTS.items():
        _made(client, "chair", reverse(name, args=[objects[thing].pk]), work)
