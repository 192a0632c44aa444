"""Merging, splitting and relating through the API."""

from __future__ import annotations

import pytest

from console_api import Api
from khien.console.incidents.models import Incident

pytestmark = pytest.mark.django_db


def test_what_is_chosen_splits_off(province, opened, an_alert):
    alert = an_alert()
    made = opened(alerts=[alert])
    api = Api(province.analyst)
    entry = api("POST", f"/incidents/{made.pk}/entries", {"text": "Thuộc vụ khác"}).json()
    sign = api("POST", f"/incidents/{made.pk}/indicators", {"values": ["203.0.113.66"]}).json()[0]
    version = api("GET", f"/incidents/{made.pk}").json()["version"]
    body = {"version": version, "title": "Vụ khác", "entries": [entry["id"]], "indicators": [sign["id"]]}
    answer = api("POST", f"/incidents/{made.pk}/split", {**body, "alerts": [alert.pk]})
    assert answer.status_code == 201, answer.content
    new = answer.json()
    assert (new["title"], new["alerts"], new["indicators"][0]["id"]) == ("Vụ khác", [alert.pk], sign["id"])
    assert entry["id"] in {each["id"] for each in api("GET", f"/incidents/{new['id']}/entries").json()}
    assert [each["id"] for each in new["related"]] == [made.pk]
    assert api("POST", f"/incidents/{made.pk}/split", body).status_code == 409
    nothing = {"version": version + 1, "title": "Không có gì"}
    assert api("POST", f"/incidents/{made.pk}/split", nothing).status_code == 422
    assert Api(province.health)("POST", f"/incidents/{made.pk}/split", nothing).status_code == 403


def test_incidents_are_related_both_ways_and_no_longer(province, opened):
    one, two, foreign = opened(), opened(), opened(unit="xa-mau")
    api = Api(province.health)
    for _ in range(2):
        answer = api("PUT", f"/incidents/{one.pk}/related/{two.pk}")
        assert [each["number"] for each in answer.json()["related"]] == [two.number]
    assert [each["id"] for each in api("GET", f"/incidents/{two.pk}").json()["related"]] == [one.pk]
    assert api("DELETE", f"/incidents/{two.pk}/related/{one.pk}").json()["related"] == []
    assert api("PUT", f"/incidents/{one.pk}/related/{foreign.pk}").status_code == 404
    assert api("PUT", f"/incidents/{one.pk}/related/{one.pk}").status_code == 422


def test_a_relation_to_a_sensitive_one_is_not_told_to_others(province, opened):
    secret, plain = opened(tlp="RED", leader=province.analyst), opened()
    api = Api(province.analyst)
    assert api("PUT", f"/incidents/{plain.pk}/related/{secret.pk}").status_code == 200
    assert Api(province.health)("GET", f"/incidents/{plain.pk}").json()["related"] == []


def test_the_one_merged_away_is_named_by_the_other(province, opened):
    source, target = opened(), opened()
    api = Api(province.analyst)
    merged = api("POST", f"/incidents/{source.pk}/merge", {"version": source.version, "into": target.pk}).json()
    assert (merged["id"], [each["id"] for each in merged["merged"]]) == (target.pk, [source.pk])
    assert api("GET", f"/incidents/{source.pk}").json()["merged_into"] == target.pk
    assert api("POST", f"/incidents/{source.pk}/entries", {"text": "Muộn"}).status_code == 422
    assert Incident.objects.get(pk=source.pk).status == "merged"
