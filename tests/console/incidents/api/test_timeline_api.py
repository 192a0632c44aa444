"""The timeline and legal deadlines through the API."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from console_api import Api

pytestmark = pytest.mark.django_db


def test_the_timeline_has_entries_and_events_of_alerts(province, opened, an_alert):
    made = opened(alerts=[an_alert(), an_alert("xa-mau", "Của xã")])
    api = Api(province.health)
    written = api("POST", f"/incidents/{made.pk}/entries", {"text": "Đã cô lập", "kind": "action"}).json()
    moments = api("GET", f"/incidents/{made.pk}/timeline").json()
    assert [each["at"] for each in moments] == sorted(each["at"] for each in moments)
    events = [each for each in moments if each["kind"] == "event"]
    assert {each["text"] for each in events} == {"LSASS dump via comsvcs · SYT-PC-041"}
    assert all(each["alert"] and each["level"] == "high" for each in events)
    mine = next(each for each in moments if each["entry"] == written["id"])
    assert (mine["text"], mine["by"]["id"]) == ("Đã cô lập", province.health.pk)
    only = api("GET", f"/incidents/{made.pk}/timeline?kind=action&kind=note").json()
    assert [each["entry"] for each in only] == [written["id"]]
    assert api("GET", f"/incidents/{made.pk}/timeline?kind=other").status_code == 422


def test_an_entry_is_mended_and_its_earlier_wording_kept(province, opened):
    made = opened()
    api = Api(province.health)
    entry = api("POST", f"/incidents/{made.pk}/entries", {"text": "Sai"}).json()
    assert entry["is_written"]
    body = {"version": entry["version"], "text": "Đúng", "at": entry["at"]}
    mended = api("PATCH", f"/incidents/entries/{entry['id']}", body).json()
    assert (mended["text"], [each["text"] for each in mended["earlier"]]) == ("Đúng", ["Sai"])
    assert api("PATCH", f"/incidents/entries/{entry['id']}", body).status_code == 409
    later = {**body, "version": mended["version"], "at": (timezone.now() + timedelta(days=1)).isoformat()}
    assert api("PATCH", f"/incidents/entries/{entry['id']}", later).status_code == 422
    theirs = Api(province.analyst)("POST", f"/incidents/{made.pk}/entries", {"text": "Của phân tích"}).json()
    assert api("PATCH", f"/incidents/entries/{theirs['id']}", {**body, "version": 1}).status_code == 403
    opening = next(each for each in api("GET", f"/incidents/{made.pk}/entries").json() if each["kind"] == "state")
    assert not opening["is_written"]


def test_a_mail_is_recorded_with_who_wrote_to_whom(province, opened):
    made = opened()
    api = Api(province.health)
    body = {"received": True, "sender": "a05@example.vn", "to": "so@example.vn", "subject": "V/v", "text": "Nội dung"}
    assert api("POST", f"/incidents/{made.pk}/mails", body).json()["kind"] == "mail_in"
    assert api("POST", f"/incidents/{made.pk}/mails", {**body, "received": False}).json()["kind"] == "mail_out"
    told = api("GET", f"/incidents/{made.pk}/timeline?kind=mail_in").json()
    assert told[0]["mail"] == {"sender": "a05@example.vn", "to": "so@example.vn", "subject": "V/v"}


def test_legal_deadlines_are_listed_sent_confirmed_and_put_aside(province, opened):
    made = opened(level=4, serious=True)
    api = Api(province.analyst)
    first, second = api("GET", f"/incidents/{made.pk}/clocks").json()
    assert (first["state"], first["due_at"] < second["due_at"]) == ("open", True)
    assert first["recipient_vi"]
    said = {"version": first["version"], "sent_at": timezone.now().isoformat(), "recipient": "A05"}
    sent = api("POST", f"/incidents/clocks/{first['id']}/sent", said).json()
    assert api("POST", f"/incidents/clocks/{first['id']}/sent", said).status_code == 409
    more = {**said, "version": sent["version"], "confirmation": "Đã nhận"}
    assert api("POST", f"/incidents/clocks/{first['id']}/sent", more).json()["confirmation"] == "Đã nhận"
    why = {"version": second["version"], "reason": "Không thuộc diện"}
    assert Api(province.health)("POST", f"/incidents/clocks/{second['id']}/waive", why).status_code == 403
    waived = api("POST", f"/incidents/clocks/{second['id']}/waive", why).json()
    assert (waived["state"], waived["reason"]) == ("waived", "Không thuộc diện")
