"""Indicators through the API."""

from __future__ import annotations

import pytest

from console_api import Api

pytestmark = pytest.mark.django_db


def test_indicators_are_offered_found_added_shared_and_taken_away(province, opened, an_alert):
    made = opened(alerts=[an_alert()])
    api = Api(province.health)
    here = f"/incidents/{made.pk}/indicators"
    offered = {(each["kind"], each["value"], each["wide"]) for each in api("GET", f"{here}/offered").json()}
    assert ("ip", "203.0.113.9", True) in offered
    assert ("host", "syt-pc-041", False) in {(kind, value.lower(), wide) for kind, value, wide in offered}
    text = {"text": "Máy gọi về hxxps://evil[.]example/a và 203.0.113.9"}
    found = {(each["kind"], each["value"]) for each in api("POST", f"{here}/find", text).json()}
    assert {("url", "https://evil.example/a"), ("ip", "203.0.113.9")} <= found
    assert api("GET", here).json() == []
    added = api("POST", here, {"values": ["203.0.113.9"], "note": "máy chủ điều khiển"}).json()[0]
    assert ("ip", "203.0.113.9") not in {
        (each["kind"], each["value"]) for each in api("POST", f"{here}/find", text).json()
    }
    assert "203.0.113.9" not in {each["value"] for each in api("GET", f"{here}/offered").json()}
    change = {"version": added["version"], "tlp": "GREEN", "note": ""}
    changed = api("PATCH", f"/incidents/indicators/{added['id']}", change).json()
    assert (changed["tlp"], changed["note"]) == ("GREEN", "")
    assert api("PATCH", f"/incidents/indicators/{added['id']}", change).status_code == 409
    gone = f"/incidents/indicators/{added['id']}"
    assert api("DELETE", gone).status_code == 422
    assert api("DELETE", f"{gone}?version={added['version']}").status_code == 409
    answer = api("DELETE", f"{gone}?version={changed['version']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert api("GET", here).json() == []


def test_the_same_elsewhere_is_named_only_where_it_is_seen(province, opened):
    mine, seen, foreign = opened(), opened(unit="benh-vien"), opened(unit="xa-mau")
    office = Api(province.analyst)
    for each in (mine, seen, foreign):
        assert office("POST", f"/incidents/{each.pk}/indicators", {"values": ["198.51.100.7"]}).status_code == 201
    row = Api(province.health)("GET", f"/incidents/{mine.pk}/indicators").json()[0]
    assert (row["defanged"], [each["id"] for each in row["elsewhere"]]) == ("198[.]51[.]100[.]7", [seen.pk])
    row = office("GET", f"/incidents/{mine.pk}/indicators").json()[0]
    assert [each["id"] for each in row["elsewhere"]] == [foreign.pk, seen.pk]
