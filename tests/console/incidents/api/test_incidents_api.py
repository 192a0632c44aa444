"""Incidents through the API: found, opened, changed, by who sees them."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from console_api import Api
from khien.console.audit.models import Entry
from khien.console.incidents.models import Incident

pytestmark = pytest.mark.django_db


def _found(api: Api, query: str) -> set[int]:
    answer = api("GET", f"/incidents?{query}")
    assert answer.status_code == 200, answer.content
    return {each["id"] for each in answer.json()["items"]}


def test_the_list_is_narrowed_as_on_the_page(province, opened):
    old = opened(detected_at=timezone.now() - timedelta(days=9), leader=province.analyst)
    leak = opened(working_class="leak", level=1)
    beside = opened(unit="xa-mau", units=[province.units["benh-vien"]])
    api = Api(province.analyst)
    day = quote((timezone.now() - timedelta(days=1)).isoformat())
    assert _found(api, "working_class=leak") == {leak.pk}
    assert _found(api, "level=3") == {old.pk, beside.pk}
    assert _found(api, f"leader={province.analyst.pk}") == {old.pk}
    assert _found(api, f"unit={province.units['benh-vien'].pk}") == {beside.pk}
    assert _found(api, f"detected_until={day}") == {old.pk}
    assert _found(api, f"detected_from={day}") == {leak.pk, beside.pk}
    assert api("GET", "/incidents?level=9").status_code == 422
    assert Api(province.health)("GET", f"/incidents?unit={province.units['xa-mau'].pk}").status_code == 404


def test_an_incident_is_opened_with_indicators_and_people(province, an_alert):
    alert = an_alert()
    answer = Api(province.analyst)(
        "POST",
        "/incidents",
        {
            "title": "Xâm nhập",
            "level": 3,
            "unit": province.units["so-y-te"].pk,
            "units": [province.units["benh-vien"].pk],
            "leader": province.analyst.pk,
            "team": [province.health.pk],
            "alerts": [alert.pk],
            "indicators": [{"value": "hxxp://evil[.]example/a"}, {"kind": "host", "value": "SYT-PC-041"}],
        },
    )
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert [each["id"] for each in made["units"]] == [province.units["benh-vien"].pk]
    assert (made["leader"]["id"], made["team"][0]["id"]) == (province.analyst.pk, province.health.pk)
    assert made["created_by"]["id"] == province.analyst.pk
    assert made["alerts"] == [alert.pk]
    assert {each["kind"] for each in made["indicators"]} == {"url", "host"}


@pytest.mark.parametrize("field", ["unit", "units", "leader", "team", "alerts"])
def test_what_one_does_not_see_cannot_be_named(province, an_alert, field):
    foreign = {
        "unit": province.units["xa-mau"].pk,
        "units": [province.units["xa-mau"].pk],
        "leader": province.commune.pk,
        "team": [province.commune.pk],
        "alerts": [an_alert("xa-mau").pk],
    }
    body = {"title": "x", "level": 1, "unit": province.units["so-y-te"].pk, field: foreign[field]}
    assert Api(province.health)("POST", "/incidents", body).status_code == 404
    assert not Incident.objects.exists()


def test_units_systems_and_people_are_changed_and_what_one_does_not_see_stays(province, opened, a_system):
    foreign, own = province.units["xa-mau"], province.units["benh-vien"]
    made = opened(units=[foreign], systems=[a_system("cong", "xa-mau")], leader=province.analyst)
    his = a_system("his", "so-y-te")
    api = Api(province.health)
    body = {
        "version": made.version,
        "units": [own.pk],
        "systems": [his.pk],
        "team": [province.hospital.pk],
        "leader": province.health.pk,
        "unit": own.pk,
    }
    answer = api("PATCH", f"/incidents/{made.pk}", body)
    assert answer.status_code == 200, answer.content
    made.refresh_from_db()
    assert set(made.units.all()) == {foreign, own}
    assert {each.code for each in made.systems.all()} == {"cong", "his"}
    assert [each["code"] for each in answer.json()["systems"]] == ["his"]
    assert (made.leader, made.unit, list(made.team.all())) == (province.health, own, [province.hospital])
    whole = answer.json()
    again = {"version": whole["version"], "units": [each["id"] for each in whole["units"]], "leader": None, "team": []}
    answer = api("PATCH", f"/incidents/{made.pk}", again)
    assert answer.status_code == 200, answer.content
    assert (answer.json()["leader"], answer.json()["team"]) == (None, [])
    assert api("PATCH", f"/incidents/{made.pk}", {"version": whole["version"], "title": "x"}).status_code == 409


def test_a_unit_that_is_closed_down_is_not_chosen_any_more(province, opened):
    made, closed = opened(), province.units["benh-vien"]
    closed.is_active = False
    closed.save()
    body = {"version": made.version, "units": [closed.pk]}
    assert Api(province.analyst)("PATCH", f"/incidents/{made.pk}", body).status_code == 404


def test_only_who_leads_sets_who_may_see_it(province, opened):
    made = opened()
    body = {"version": made.version, "tlp": "RED"}
    assert Api(province.health)("PATCH", f"/incidents/{made.pk}", body).status_code == 403
    assert Api(province.analyst)("PATCH", f"/incidents/{made.pk}", body).json()["tlp"] == "RED"
    assert Api(province.health)("GET", f"/incidents/{made.pk}").status_code == 404


PARTS = (
    "",
    "/timeline",
    "/entries",
    "/clocks",
    "/indicators",
    "/indicators/offered",
    "/evidence",
    "/tasks",
    "/playbooks",
)


@pytest.mark.parametrize("part", PARTS)
def test_each_look_at_a_sensitive_one_is_in_the_trail_and_others_find_nothing(province, opened, part):
    made = opened(tlp="RED", leader=province.analyst)
    assert Api(province.analyst)("GET", f"/incidents/{made.pk}{part}").status_code == 200
    looks = Entry.objects.filter(action="incident.view", target_id=str(made.pk))
    assert [each.actor for each in looks] == [province.analyst]
    for other in (province.analyst2, province.health, province.commune):
        assert Api(other)("GET", f"/incidents/{made.pk}{part}").status_code == 404


def test_classes_and_people_to_choose_from(province):
    api = Api(province.health)
    found = api("GET", "/incidents/classes").json()
    malware = next(each for each in found["working"] if each["code"] == "malware")
    types = {each["code"] for group in found["rsit"] for each in group["types"]}
    assert malware["vi"]
    assert set(malware["rsit"]) <= types
    people = {each["id"] for each in api("GET", "/incidents/people").json()}
    assert {province.health.pk, province.hospital.pk} <= people
    assert not {province.commune.pk, province.press.pk} & people


def test_alerts_suggest_an_incident_which_is_opened_as_suggested(province, opened, an_alert):
    free, taken, foreign = an_alert(level=4), an_alert(title="Khác", level=2), an_alert("xa-mau")
    there = opened(alerts=[taken])
    api = Api(province.health)
    query = "&".join(f"alerts={each.pk}" for each in (free, taken, foreign))
    found = api("GET", f"/incidents/suggested?{query}").json()
    assert (found["title"], found["level"]) == ("LSASS dump via comsvcs · SYT-PC-041", 4)
    assert found["units"] == [province.units["so-y-te"].pk]
    assert found["taken"] == [there.pk]
    assert found["offered"][0]["wide"]
    body = {**found, "alerts": [free.pk], "indicators": found.pop("offered")}
    made = api("POST", "/incidents", body)
    assert made.status_code == 201, made.content
    assert len(made.json()["indicators"]) == 3
    assert api("GET", "/incidents/suggested").status_code == 422


def test_no_system_out_of_sight_is_suggested(province, an_alert, a_system):
    alert = an_alert(system=a_system("moved", "xa-mau"))
    for person, known in ((province.health, []), (province.analyst, [alert.system_id])):
        assert Api(person)("GET", f"/incidents/suggested?alerts={alert.pk}").json()["systems"] == known


def test_reading_an_incident_asks_no_more_with_ten_times_the_rows(
    province, opened, django_assert_max_num_queries, an_alert
):
    made = opened(alerts=[an_alert()])
    api = Api(province.analyst)
    api("POST", f"/incidents/{made.pk}/indicators", {"values": [f"203.0.113.{n}" for n in range(40)]})
    for n in range(20):
        other = opened()
        made.related.add(other)
        api("POST", f"/incidents/{made.pk}/entries", {"text": f"Ghi chú {n}"})
        api("POST", f"/incidents/{other.pk}/indicators", {"values": ["203.0.113.1"]})
    for part in PARTS:
        with django_assert_max_num_queries(30):
            assert api("GET", f"/incidents/{made.pk}{part}").status_code == 200
