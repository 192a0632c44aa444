"""A program that asks for a long file is told to ask again, and then gets it."""

from __future__ import annotations

import pytest

from console_api import Api
from console_objects import make_objects
from khien.console.exports import documents, services
from khien.console.exports.models import MadeFile

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(province, settings, tmp_path, monkeypatch):
    """The minutes of a session, all too long to be made at once: `asked()` is the API's answer."""
    settings.DATA = tmp_path
    monkeypatch.setattr(documents, "MOST_AT_ONCE", {"pdf": 0, "docx": 0})
    session = make_objects(province)["concluded"]
    api = Api(province.chair, "directives:read")
    return lambda: api("GET", f"/sessions/{session.pk}/documents/minutes/docx")


def test_it_is_told_to_ask_again_until_the_worker_has_made_it(province, asked, work):
    for _ in range(2):
        answer = asked()
        assert (answer.status_code, answer["Retry-After"]) == (202, "5")
        assert answer.json()["code"] == "being_made"
    assert MadeFile.objects.filter(by=province.chair).count() == 1
    work()
    given = asked()
    assert given.status_code == 200
    assert b"".join(given.streaming_content).startswith(b"PK")
    assert given["Content-Disposition"].startswith("attachment")


def test_what_could_not_be_made_is_told(province, asked, work, monkeypatch):
    assert asked().status_code == 202
    monkeypatch.setattr(documents, "MOST_IN_WORKER", 1)
    work()
    answer = asked()
    assert (answer.status_code, answer.json()["code"]) == (503, "not_made")


def test_too_many_at_once_are_refused(province, asked, monkeypatch):
    monkeypatch.setattr(services, "MOST_UNFINISHED", 0)
    answer = asked()
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
