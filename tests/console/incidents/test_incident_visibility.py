"""Who sees which incident: by unit, by being named, and nothing of a sensitive one anywhere else."""

from __future__ import annotations

import pytest
from django.urls import reverse

from console_api import Api
from khien.console.audit.models import Entry
from khien.console.incidents import merging, selectors
from khien.console.incidents.models import Clock, Incident, IncidentEntry, Indicator
from khien.console.incidents.services import change_incident
from khien.console.incidents.timeline import write_entry
from khien.console.notifications.models import Notice

pytestmark = pytest.mark.django_db
SECRET = "Vụ việc mật"


def sees(user, incident) -> bool:
    return Incident.objects.visible_to(user).filter(pk=incident.pk).exists()


def test_a_unit_sees_what_it_leads_or_is_touched_by_and_what_lies_below_it(province, opened):
    incident = opened(unit="benh-vien")
    who = {name for name, user in province.people.items() if sees(user, incident)}
    assert who == {"chair", "analyst", "analyst2", "health", "hospital"}
    change_incident(province.analyst, incident.pk, 1, units=[province.units["xa-mau"]])
    assert sees(province.commune, incident)


def test_those_named_see_an_incident_of_another_unit(province, opened):
    incident = opened(unit="so-y-te", team=[province.commune])
    assert sees(province.commune, incident)
    assert not sees(province.hospital, incident)


@pytest.mark.parametrize("tlp", ["RED", "AMBER+STRICT"])
def test_a_sensitive_one_is_seen_by_those_named_and_by_who_may_see_all(province, opened, tlp):
    incident = opened(by=province.analyst, tlp=tlp, leader=province.analyst2, team=[province.hospital])
    who = {name for name, user in province.people.items() if sees(user, incident)}
    assert who == {"chair", "analyst", "analyst2", "hospital"}


def test_a_role_without_the_capability_sees_none_even_when_named(province, opened):
    incident = opened()
    incident.team.add(province.press)
    assert not sees(province.press, incident)
    assert not Incident.objects.visible_to(province.auditor).exists()


@pytest.fixture
def secret(province, opened, an_alert):
    """A sensitive incident of the department of health that its own duty officer does not see."""
    incident = opened(title=SECRET, tlp="RED", alerts=[an_alert()], indicators=[("ip", "203.0.113.9")], serious=True)
    write_entry(province.analyst, incident.pk, kind="note", text="Ghi chú mật")
    return incident


def test_nothing_of_a_sensitive_one_comes_through_rows_of_its_own(province, secret):
    for model in (IncidentEntry, Indicator, Clock):
        assert model.objects.filter(incident=secret).exists()
        assert not model.objects.visible_to(province.health).exists()


def test_nothing_of_a_sensitive_one_comes_through_search_counts_or_lists(province, signed_in, secret):
    client = signed_in(province.health)
    for url in ("?state=all", "?text=203.0.113.9", "?overdue=on", "?export=csv&state=all", "?leader=1"):
        answer = client.get(reverse("incidents:list") + url)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert SECRET not in body.decode()
        assert secret.number not in body.decode()
    assert selectors.search_incidents(province.health, "mật") == []
    assert selectors.search_incidents(province.health, secret.number) == []
    assert selectors.overdue_count(province.health) == 0
    assert selectors.incident_of(province.health, secret.pk) is None
    assert selectors.visible_numbers(province.health, [secret.pk]) == {}
    assert not Notice.objects.filter(user=province.health).exists()


def test_every_page_of_a_sensitive_one_is_not_there(province, signed_in, secret):
    client = signed_in(province.health)
    clock, entry = secret.clocks.first(), secret.entries.filter(kind="note").get()
    indicator = secret.indicators.get()
    pages = [
        reverse(f"incidents:{name}", args=[secret.pk])
        for name in ("detail", "edit", "timeline", "mail", "indicators", "playbooks", "task_new")
    ]
    pages += [
        reverse("incidents:mend", args=[entry.pk]),
        reverse("incidents:indicator", args=[indicator.pk]),
        reverse("incidents:clock_sent", args=[clock.pk]),
    ]
    assert {client.get(page).status_code for page in pages} == {404}
    posts = [
        reverse("incidents:state", args=[secret.pk]),
        reverse("incidents:write", args=[secret.pk]),
        reverse("incidents:relate", args=[secret.pk]),
        reverse("incidents:indicators", args=[secret.pk]),
        reverse("incidents:indicator_remove", args=[indicator.pk]),
    ]
    assert {client.post(page, {"text": "x", "kind": "note"}).status_code for page in posts} == {404}


def test_the_same_indicator_does_not_give_it_away(province, opened, signed_in, secret):
    own = opened(indicators=[("ip", "203.0.113.9")])
    for page in ("detail", "indicators"):
        url = reverse(f"incidents:{page}", args=[own.pk])
        assert secret.number not in signed_in(province.health).get(url).content.decode()
        assert secret.number in signed_in(province.analyst).get(url).content.decode()


def test_a_relation_to_it_is_shown_only_to_who_sees_both(province, opened, signed_in, secret):
    own = opened()
    merging.relate(province.analyst, own.pk, secret.pk)
    url = reverse("incidents:detail", args=[own.pk])
    hidden = signed_in(province.health).get(url).content.decode()
    assert secret.number not in hidden
    assert SECRET not in hidden
    assert secret.number in signed_in(province.analyst).get(url).content.decode()
    form = signed_in(province.health).post(reverse("incidents:relate", args=[own.pk]), {"other": secret.number})
    assert form.status_code == 400
    assert "no such incident" in form.content.decode()


def test_a_split_and_a_merge_do_not_name_it_to_others(province, opened, signed_in, secret):
    own = opened(title="Công khai")
    merging.merge(province.analyst, secret.pk, secret.version, own.pk)
    own.refresh_from_db()
    assert own.tlp == "RED", "what was kept to a few stays so"
    assert not sees(province.health, own)


def test_who_sees_the_open_one_comes_not_to_see_the_sensitive_one_it_is_merged_into(province, opened, secret):
    own = opened(by=province.health, team=[province.hospital])
    merging.merge(province.analyst, own.pk, own.version, secret.pk)
    assert not sees(province.health, secret)
    assert not sees(province.hospital, secret)
    moved = IncidentEntry.objects.visible_to(province.health).filter(incident=own)
    assert secret.number not in " ".join(entry.shown for entry in moved)


def test_events_of_alerts_of_units_one_does_not_see_are_not_shown(province, opened, an_alert, signed_in):
    mine, theirs = an_alert("benh-vien", "Của bệnh viện"), an_alert("xa-mau", "Của xã")
    incident = opened(unit="benh-vien", alerts=[mine, theirs])
    told = [moment.text for moment in selectors.timeline(province.hospital, incident)]
    assert any("Của bệnh viện" in text for text in told)
    assert not any("Của xã" in text for text in told)
    page = signed_in(province.hospital).get(reverse("incidents:detail", args=[incident.pk])).content.decode()
    assert "Của xã" not in page


def test_opening_a_sensitive_one_is_in_the_audit_trail(province, signed_in, secret, opened):
    signed_in(province.analyst).get(reverse("incidents:detail", args=[opened().pk]))
    assert not Entry.objects.filter(action="incident.view").exists()
    signed_in(province.chair).get(reverse("incidents:detail", args=[secret.pk]))
    entry = Entry.objects.get(action="incident.view")
    assert (entry.actor, entry.target_id) == (province.chair, str(secret.pk))


@pytest.mark.parametrize("page", ["detail", "timeline", "indicators", "evidence", "edit", "merge", "split"])
def test_every_page_of_a_sensitive_one_leaves_a_look_in_the_trail(province, opened, signed_in, page):
    incident = opened(by=province.analyst, tlp="RED", leader=province.analyst)
    assert signed_in(province.analyst).get(reverse(f"incidents:{page}", args=[incident.pk])).status_code == 200
    looks = Entry.objects.filter(action="incident.view", target_id=str(incident.pk), actor=province.analyst)
    assert looks.count() == 1


def test_the_timeline_of_a_sensitive_one_read_by_a_program_is_in_the_trail(province, opened):
    incident = opened(by=province.analyst, tlp="RED", leader=province.analyst)
    assert Api(province.analyst)("GET", f"/incidents/{incident.pk}/entries").status_code == 200
    assert Entry.objects.filter(action="incident.view", target_id=str(incident.pk)).count() == 1
