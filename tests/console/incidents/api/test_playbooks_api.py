"""Playbooks and tasks of an incident through the API."""

from __future__ import annotations

import pytest

from console_api import Api

pytestmark = pytest.mark.django_db


def test_a_playbook_is_given_whole_again_and_singly(province, opened):
    made = opened(units=[province.units["benh-vien"]])
    api = Api(province.analyst)
    books = api("GET", f"/incidents/{made.pk}/playbooks").json()
    book = books[0]
    assert (book["own"], "malware" in book["classes"]) == (True, True)
    assert not any(each["given"] for each in book["tasks"])
    one = book["tasks"][0]
    single = api("POST", f"/incidents/{made.pk}/playbooks", {"playbook": book["code"], "tasks": [one["code"]]})
    assert single.status_code == 201, single.content
    assert {each["title"] for each in single.json()} <= {one["vi"], one["en"]}
    assert {each["incident"] for each in single.json()} == {made.pk}
    all_of_it = api("POST", f"/incidents/{made.pk}/playbooks", {"playbook": book["code"]}).json()
    assert len(all_of_it) >= len(book["tasks"])
    tasks = api("GET", f"/incidents/{made.pk}/tasks").json()["items"]
    assert {each["id"] for each in tasks} == {each["id"] for each in [*single.json(), *all_of_it]}
    page = api("GET", f"/incidents/{made.pk}/tasks?limit=1").json()
    assert (len(page["items"]), bool(page["next"])) == (1, True)
    books = api("GET", f"/incidents/{made.pk}/playbooks").json()
    assert all(each["given"] for each in books[0]["tasks"])
    for wrong in ({"playbook": "none"}, {"playbook": book["code"], "tasks": ["none"]}):
        assert api("POST", f"/incidents/{made.pk}/playbooks", wrong).status_code == 422


def test_one_sees_only_the_tasks_of_one_s_own_units(province, opened):
    made = opened(unit="xa-mau", units=[province.units["so-y-te"]])
    book = Api(province.analyst)("GET", f"/incidents/{made.pk}/playbooks").json()[0]["code"]
    given = Api(province.analyst)("POST", f"/incidents/{made.pk}/playbooks", {"playbook": book}).json()
    own = {each["id"] for each in given if each["unit"]["code"] == "so-y-te"}
    found = Api(province.health)("GET", f"/incidents/{made.pk}/tasks").json()["items"]
    assert {each["id"] for each in found} == own
    assert len(own) < len(given)
