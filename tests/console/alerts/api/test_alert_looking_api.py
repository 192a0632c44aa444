"""What programs read around an alert, and exceptions drafted, previewed, made, prolonged and ended by them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from console_api import Api
from flow.live_service import WHOAMI
from khien.console.alerts.models import AlertFinding, RuleException

pytestmark = pytest.mark.django_db
RULE = "3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de01"
EVENT = {
    "EventID": 1,
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "Computer": "SYT-PC-041",
    "Image": "C:\\Windows\\System32\\whoami.exe",
    "CommandLine": "whoami /all",
    "User": "EXAMPLE\\scanner",
}
MATCHED = [{"field": "Image", "value": EVENT["Image"], "pattern": "*\\\\whoami.exe"}]


@pytest.fixture(autouse=True)
def rules(settings, tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "whoami.yml").write_text(WHOAMI)
    settings.RULES = [tmp_path / "rules"]
    settings.LIVE = tmp_path / "live"
    settings.LAKE = str(tmp_path / "lake")


@pytest.fixture
def fired(make_alert):
    def make(**fields):
        alert = make_alert(rule=RULE, title="Who Am I", tags=("attack.t1033",), ago=timedelta(hours=1), **fields)
        told = {
            "rule_id": RULE,
            "host": "SYT-PC-041",
            "matched": MATCHED,
            "event": EVENT,
            "time": "2026-01-05T10:00:00Z",
        }
        AlertFinding.objects.filter(alert=alert).update(record=told)
        return alert

    return make


def in_days(days):
    return (timezone.now() + timedelta(days=days)).isoformat()


def test_why_an_alert_fired_is_told_as_a_tree(province, fired):
    made = fired()
    found = Api(province.health)("GET", f"/alerts/{made.pk}/explanation").json()
    assert (found["known"], found["matches"], found["at"]) == (True, True, "2026-01-05T10:00:00Z")
    assert found["trees"][0]["holds"]
    api = Api(province.health)
    assert api("GET", f"/alerts/{made.pk}/explanation?finding=7").status_code == 404
    assert Api(province.commune)("GET", f"/alerts/{made.pk}/explanation").status_code == 404


def test_a_lake_that_cannot_be_read_is_told_of(province, fired):
    found = Api(province.health)("GET", f"/alerts/{fired().pk}/neighbours")
    assert found.status_code == 200
    assert found.json()["trouble"]
    assert found.json()["events"] == []


def test_the_surroundings_are_of_alerts_one_sees(province, fired):
    made, own, foreign = fired(), fired(), fired(unit="xa-mau")
    closing = {"alerts": {own.pk: None, foreign.pk: None}, "verdict": "benign"}
    Api(province.analyst)("POST", "/alerts/close", closing)
    found = Api(province.health)("GET", f"/alerts/{made.pk}/surroundings").json()
    assert [each["id"] for each in found["history"]["latest"]] == [own.pk]
    assert found["verdicts"]["counts"] == {"benign": 1}
    assert [each["id"] for each in found["verdicts"]["latest"]] == [own.pk]
    assert [each["id"] for each in found["techniques"]] == ["T1033"]


def test_an_exception_is_drafted_previewed_made_prolonged_and_ended(province, fired):
    made, api = fired(), Api(province.analyst)
    drafted = api("POST", "/alerts/exceptions/draft", {"alert": made.pk, "fields": ["Image", "User"]}).json()
    assert "EXAMPLE\\scanner" in drafted["text"]
    assert {"CommandLine", "Image", "User"} <= {each["name"] for each in drafted["fields"]}
    asked = {"alert": made.pk, "text": drafted["text"]}
    seen = api("POST", "/alerts/exceptions/preview", asked).json()
    assert (seen["own"], seen["problems"], seen["seen"]["silenced"]) == (True, [], 1)
    in_lake = api("POST", "/alerts/exceptions/preview", {**asked, "where": "lake"}).json()
    assert (in_lake["seen"], bool(in_lake["trouble"])) == (None, True)
    body = {**asked, "title": "Máy quét", "reason": "Của ta", "expires_at": in_days(30)}
    answer = api("POST", "/alerts/exceptions", body)
    assert answer.status_code == 201, answer.content
    kept = answer.json()
    assert (kept["owner"]["id"], kept["alert"], kept["in_force"]) == (province.analyst.pk, made.pk, True)
    assert (kept["preview"]["silenced"], kept["text"]) == (1, drafted["text"])
    assert [each["id"] for each in api("GET", "/alerts/exceptions?q=quét").json()["items"]] == [kept["id"]]
    since = kept["updated_at"].replace("+", "%2B")
    path = f"/alerts/exceptions/{kept['id']}"
    longer = {"expires_at": in_days(60), "reason": "Vẫn của ta", "version": kept["version"]}
    assert api("POST", f"{path}/prolong", longer).json()["reason"] == "Vẫn của ta"
    assert api("POST", f"{path}/prolong", longer).status_code == 409
    assert api("POST", f"{path}/prolong", {**longer, "version": 2, "expires_at": in_days(300)}).status_code == 422
    ended = api("POST", f"{path}/end", {"version": 2}).json()
    assert (ended["in_force"], ended["ended_by"]["id"]) == (False, province.analyst.pk)
    assert api("POST", f"{path}/end", {}).status_code == 409
    assert api("GET", "/alerts/exceptions").json()["items"] == []
    changed = api("GET", f"/alerts/exceptions?state=ended&updated_since={since}").json()["items"]
    assert [each["version"] for each in changed] == [3]


def test_a_wrong_text_is_refused_with_its_place(province, fired):
    api, asked = Api(province.analyst), {"alert": fired().pk, "text": "title: x\nfilter: [\n"}
    seen = api("POST", "/alerts/exceptions/preview", asked).json()
    assert (seen["seen"], seen["problems"][0]["line"] > 0) == (None, True)
    answer = api("POST", "/alerts/exceptions", {**asked, "title": "x", "reason": "y", "expires_at": in_days(3)})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["where"] == "text"
    assert not RuleException.objects.exists()


def test_only_those_who_see_all_units_make_exceptions_and_units_see_those_of_their_alerts(province, fired):
    made = fired()
    unit, commune = Api(province.health), Api(province.commune)
    assert unit("POST", "/alerts/exceptions/draft", {"alert": made.pk}).status_code == 403
    kept = RuleException.objects.create(
        rule_id=RULE, title="x", text="y", reason="z", owner=province.analyst, alert=made, expires_at=in_days(3)
    )
    assert unit("GET", f"/alerts/exceptions/{kept.pk}").json()["alert"] == made.pk
    assert commune("GET", f"/alerts/exceptions/{kept.pk}").status_code == 404
    assert commune("GET", "/alerts/exceptions").json()["items"] == []
    assert unit("POST", f"/alerts/exceptions/{kept.pk}/end", {}).status_code == 403
