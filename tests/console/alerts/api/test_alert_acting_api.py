"""What programs do to alerts: all that match, status, verdict, undo, and views of the queue."""

from __future__ import annotations

import pytest

from console_api import Api
from khien.console.accounts.keys import scopes_for
from khien.console.alerts.models import Alert, SavedView, Status
from khien.console.incidents.models import Incident

pytestmark = pytest.mark.django_db


def test_all_that_match_are_meant_up_to_those_that_were_counted(province, make_alert):
    found = [make_alert(level=3), make_alert(level=3)]
    other, foreign = make_alert(level=1), make_alert(level=3, unit="xa-mau")
    api = Api(province.health)
    upto = api("GET", "/alerts/summary?q=level:high").json()["upto"]
    later = make_alert(level=3)
    matching = {"matching": {"q": "level:high", "upto": upto}}
    done = api("POST", "/alerts/close", {**matching, "verdict": "benign"}).json()
    assert sorted(done["ids"]) == [each.pk for each in found]
    closed = set(Alert.objects.filter(status=Status.CLOSED).values_list("pk", flat=True))
    assert closed == {each.pk for each in found}
    assert not closed & {other.pk, foreign.pk, later.pk}
    wrong = {"matching": {"q": "level:nonsense", "upto": upto}, "verdict": "benign"}
    assert api("POST", "/alerts/close", wrong).status_code == 422


@pytest.mark.parametrize("both", [True, False])
def test_alerts_are_named_or_matched_not_both_and_not_neither(province, make_alert, both):
    made = make_alert()
    body = {"alerts": {made.pk: None}, "matching": {"upto": made.pk}} if both else {}
    assert Api(province.analyst)("POST", "/alerts/take", body).status_code == 422
    assert Alert.objects.get(pk=made.pk).owner is None


def test_an_alert_is_taken_set_back_judged_and_all_of_it_undone_by_who_did_it(province, make_alert):
    made = make_alert()
    api = Api(province.analyst)
    one = {"alerts": {made.pk: None}}
    taken = api("POST", "/alerts/take", one).json()
    shown = api("GET", f"/alerts/{made.pk}").json()
    assert (shown["owner"]["id"], shown["status"]) == (province.analyst.pk, 1)
    assert api("POST", "/alerts/status", {**one, "status": "new"}).json()["ids"] == [made.pk]
    assert api("POST", "/alerts/status", {**one, "status": "closed"}).status_code == 422
    assert api("POST", "/alerts/verdict", {**one, "verdict": "false_positive"}).status_code == 422
    told = api("POST", "/alerts/verdict", {**one, "verdict": "false_positive", "reason": "Bảo trì"}).json()
    shown = api("GET", f"/alerts/{made.pk}").json()
    assert (shown["verdict"], shown["reason"], shown["status"]) == ("false_positive", "Bảo trì", 0)
    assert Api(province.health)("POST", f"/alerts/undo/{told['undo']}").status_code == 404
    assert api("POST", f"/alerts/undo/{told['undo']}").json()["ids"] == [made.pk]
    assert api("GET", f"/alerts/{made.pk}").json()["verdict"] == ""
    assert api("POST", f"/alerts/undo/{told['undo']}").status_code == 422
    left = api("POST", f"/alerts/undo/{taken['undo']}").json()
    assert (left["ids"], left["skipped"]) == ([], [made.pk])


def test_alerts_become_an_incident_and_leave_it_again(province, make_alert):
    made = make_alert()
    api = Api(province.analyst)
    asked = {"title": "Mã độc", "level": 3, "unit": province.units["so-y-te"].pk, "alerts": [made.pk]}
    opened = api("POST", "/incidents", asked).json()
    assert api("GET", f"/alerts/{made.pk}").json()["incident"] == opened["id"]
    assert api("POST", "/alerts/link", {"alerts": {made.pk: None}, "incident": None}).json()["ids"] == [made.pk]
    assert Incident.objects.get(pk=opened["id"]).alerts.count() == 0


def test_people_to_give_an_alert_to_are_those_who_see_it(province, make_alert):
    made = make_alert()
    people = {each["id"] for each in Api(province.health)("GET", f"/alerts/{made.pk}/people").json()}
    assert province.health.pk in people
    assert province.commune.pk not in people
    assert Api(province.commune)("GET", f"/alerts/{made.pk}/people").status_code == 404


def test_views_are_kept_shared_and_forgotten_by_their_owner_only(province):
    chair, analyst = Api(province.chair, "alerts:read", "alerts:write"), Api(province.analyst)
    kept = {"name": "Ca đêm", "query": "?tab=mine&q=level%3Ahigh&nonsense=1", "shared": True}
    made = chair("POST", "/alerts/views", kept)
    assert made.status_code == 201
    assert made.json()["query"] == "tab=mine&q=level%3Ahigh"
    assert [each["name"] for each in analyst("GET", "/alerts/views").json()] == ["Ca đêm"]
    assert analyst("DELETE", f"/alerts/views/{made.json()['id']}").status_code == 404
    chair("POST", "/alerts/views", {**kept, "shared": False})
    assert analyst("GET", "/alerts/views").json() == []
    assert chair("DELETE", f"/alerts/views/{made.json()['id']}").status_code == 204
    assert not SavedView.objects.exists()


def test_a_chair_s_key_opens_what_the_pages_open_and_no_work_on_alerts(province, make_alert):
    made = make_alert()
    assert "alerts:write" in dict(scopes_for(province.chair))
    api = Api(province.chair, "alerts:read", "alerts:write")
    for path, more in (("take", {}), ("close", {"verdict": "benign"}), ("comment", {"text": "x"})):
        assert api("POST", f"/alerts/{path}", {"alerts": {made.pk: None}, **more}).status_code == 403, path
    assert Alert.objects.get(pk=made.pk).version == 1
