"""Alerts through the API: filters, bulk work with versions, and units."""

from __future__ import annotations

import pytest

from console_api import Api
from khien.console.alerts.models import Alert
from khien.console.alerts.services import create_alert
from khien.console.api.presenting import present
from khien.console.incidents.services import open_incident
from khien.console.systems.models import InformationSystem

pytestmark = pytest.mark.django_db


def alert(province, unit="so-y-te", **fields):
    fields = {"title": "LSASS dump", "level": 3, "text": "rundll32 comsvcs.dll MiniDump", **fields}
    return create_alert(province.analyst, unit=province.units[unit], **fields)


def test_alerts_are_listed_filtered_and_searched_within_ones_units(province):
    own, other = alert(province), alert(province, "xa-mau", title="Rule two", level=1, text="nothing")
    office, unit = Api(province.analyst), Api(province.health)
    assert {each["id"] for each in office("GET", "/alerts").json()["items"]} == {own.pk, other.pk}
    assert [each["id"] for each in unit("GET", "/alerts").json()["items"]] == [own.pk]
    assert [each["id"] for each in office("GET", "/alerts?q=level:high").json()["items"]] == [own.pk]
    assert [each["id"] for each in office("GET", "/alerts?q=%22MiniDump%22").json()["items"]] == [own.pk]
    refused = office("GET", "/alerts?q=level:nonsense")
    assert refused.status_code == 422
    assert "nonsense" in refused.json()["detail"]


def test_one_alert_comes_with_its_findings_and_history(province):
    made = alert(province)
    api = Api(province.analyst)
    assert api("POST", "/alerts/comment", {"alerts": {made.pk: None}, "text": "Đang xem"}).status_code == 200
    found = api("GET", f"/alerts/{made.pk}").json()
    assert found["unit"]["code"] == "so-y-te"
    assert "Đang xem" in [each["text"] for each in found["activities"]]
    assert Api(province.commune)("GET", f"/alerts/{made.pk}").status_code == 404


def test_many_are_closed_at_once_and_those_changed_since_are_left_alone(province):
    made = [alert(province) for _ in range(3)]
    api = Api(province.analyst)
    api("POST", "/alerts/assign", {"alerts": {made[0].pk: 1}, "owner": province.analyst.pk})
    body = {"alerts": {each.pk: 1 for each in made}, "verdict": "false_positive"}
    assert api("POST", "/alerts/close", body).status_code == 422
    done = api("POST", "/alerts/close", {**body, "reason": "Bảo trì"}).json()
    assert sorted(done["ids"]) == sorted(each.pk for each in made[1:])
    assert done["skipped"] == [made[0].pk]
    single = api("POST", "/alerts/close", {"alerts": {made[0].pk: 1}, "verdict": "benign"})
    assert single.status_code == 409


def test_foreign_alerts_cannot_be_worked_on(province):
    made = alert(province)
    api = Api(province.commune)
    body = {"alerts": {made.pk: None}, "verdict": "benign"}
    assert api("POST", "/alerts/close", body).status_code == 404
    assert api("POST", "/alerts/comment", {"alerts": {made.pk: None}, "text": "x"}).status_code == 404
    assert Alert.objects.get(pk=made.pk).status == 0


def test_an_incident_one_does_not_see_is_not_named(province):
    made = alert(province)
    incident = open_incident(
        province.analyst, title="Kín", level=3, unit=province.units["so-y-te"], tlp="RED", alerts=[made]
    )
    assert Api(province.analyst)("GET", f"/alerts/{made.pk}").json()["incident"] == incident.pk
    assert Api(province.health)("GET", f"/alerts/{made.pk}").json()["incident"] is None
    assert (
        Api(province.health)("POST", "/alerts/link", {"alerts": {made.pk: None}, "incident": incident.pk}).status_code
        == 404
    )


def test_a_system_that_moved_to_a_unit_one_does_not_see_is_not_named(province):
    system = InformationSystem.objects.create(code="his", name="HIS", unit=province.units["so-y-te"], level=3)
    made = alert(province, system=system)
    office, unit = Api(province.analyst), Api(province.health)
    assert unit("GET", f"/alerts/{made.pk}").json()["system"]["code"] == "his"
    system.unit = province.units["xa-mau"]
    system.save()
    assert unit("GET", f"/alerts/{made.pk}").json()["system"] is None
    assert unit("GET", "/alerts").json()["items"][0]["system"] is None
    assert office("GET", f"/alerts/{made.pk}").json()["system"]["code"] == "his"
    assert present(province.health, Alert.objects.get(pk=made.pk))["system"] is None


def test_a_list_is_narrowed_to_a_tab_and_counted_by_groups(province):
    mine, free = alert(province), alert(province, title="Rule two", level=1)
    api = Api(province.analyst)
    api("POST", "/alerts/take", {"alerts": {mine.pk: None}})
    assert [each["id"] for each in api("GET", "/alerts?tab=mine").json()["items"]] == [mine.pk]
    assert [each["id"] for each in api("GET", "/alerts?tab=unassigned").json()["items"]] == [free.pk]
    found = api("GET", "/alerts/summary?group=level&q=status:new,in_progress").json()
    assert {each["value"]: each["n"] for each in found["groups"]} == {"high": 1, "low": 1}
    assert (found["unassigned"], found["upto"]) == (1, free.pk)
    assert api("GET", "/alerts/summary?q=level:nonsense").status_code == 422


def test_a_list_makes_a_bounded_number_of_queries(province, django_assert_max_num_queries):
    system = InformationSystem.objects.create(code="his", name="HIS", unit=province.units["so-y-te"], level=3)
    for _ in range(30):
        alert(province, system=system)
    api = Api(province.health)
    with django_assert_max_num_queries(14):
        assert len(api("GET", "/alerts").json()["items"]) == 30
