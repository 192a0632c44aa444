"""Pages of incidents: who may open them, both languages, hostile text, conflicts, bounded queries."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO

import openpyxl
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from khien.console.audit.models import Entry
from khien.console.directives.models import Task
from khien.console.incidents import merging
from khien.console.incidents.models import Incident
from khien.console.incidents.services import change_incident
from khien.console.incidents.timeline import record_mail, write_entry

pytestmark = pytest.mark.django_db
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


def form_of(incident: Incident, **changes: object) -> dict[str, object]:
    values = {
        "version": incident.version,
        "title": incident.title,
        "working_class": incident.working_class,
        "classification": incident.classification,
        "level": incident.level,
        "tlp": incident.tlp,
        "detected_at": timezone.localtime(incident.detected_at).strftime("%Y-%m-%dT%H:%M"),
        "unit": incident.unit_id,
    }
    return {**values, **changes}


@pytest.fixture
def full(province, opened, an_alert, a_system) -> Incident:
    """An incident with one of everything, all of it hostile."""
    incident = opened(
        title=HOSTILE,
        description=HOSTILE,
        level=4,
        alerts=[an_alert(title=HOSTILE, entity_value=HOSTILE)],
        systems=[a_system("his", "so-y-te")],
        units=[province.units["benh-vien"]],
        leader=province.analyst,
        team=[province.health],
        serious=True,
        personal_data=True,
        indicators=[("url", "https://evil.example.com/<script>alert(1)</script>"), ("file", HOSTILE)],
    )
    write_entry(province.analyst, incident.pk, kind="note", text=HOSTILE)
    record_mail(province.analyst, incident.pk, received=True, sender=HOSTILE, to=HOSTILE, subject=HOSTILE, text=HOSTILE)
    return incident


def pages_of(incident: Incident) -> dict[str, str]:
    names = ("detail", "edit", "close", "timeline", "mail", "indicators", "playbooks", "task_new", "merge", "split")
    pages = {name: reverse(f"incidents:{name}", args=[incident.pk]) for name in names}
    clock, entry = incident.clocks.first(), incident.entries.get(kind="note")
    return {
        "list": reverse("incidents:list"),
        "new": reverse("incidents:new") + f"?alerts={incident.alerts.get().pk}",
        **pages,
        "mend": reverse("incidents:mend", args=[entry.pk]),
        "indicator": reverse("incidents:indicator", args=[incident.indicators.first().pk]),
        "clock_sent": reverse("incidents:clock_sent", args=[clock.pk]),
        "clock_waive": reverse("incidents:clock_waive", args=[clock.pk]),
    }


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_page_opens_in_both_languages_and_runs_nothing_hostile(province, signed_in, full, language):
    client = signed_in(province.analyst, language)
    for name, url in pages_of(full).items():
        answer = client.get(url)
        body = answer.content.decode()
        assert answer.status_code == 200, name
        assert "<script>alert" not in body, name
        assert "<img src=x" not in body, name
        assert ' style="' not in body, name


def test_foreign_units_find_nothing_and_other_roles_are_told_who_may(province, signed_in, full):
    pages = pages_of(full)
    stranger, chair, press = signed_in(province.commune), signed_in(province.chair), signed_in(province.press)
    for name, url in pages.items():
        if name in ("list", "new"):
            continue
        wanted = 403 if name in ("close", "merge", "split", "clock_waive") else 404
        assert stranger.get(url).status_code == wanted, name
        assert press.get(url).status_code == 403, name
        reads = name in ("detail", "timeline", "indicators")
        assert chair.get(url).status_code == (200 if reads else 403), name
        assert Client().get(url).status_code == 302, name
    assert Client().get(pages["list"]).status_code == 302
    assert chair.post(pages["indicators"], {"value": "a.example.com", "tlp": "RED"}).status_code == 403


def test_an_incident_is_opened_from_alerts_with_what_they_tell(province, signed_in, an_alert, a_system):
    system = a_system("his", "benh-vien")
    one = an_alert("benh-vien", level=4, system=system, classification="system-compromise")
    two = an_alert("so-y-te", level=2)
    client = signed_in(province.health)
    url = reverse("incidents:new") + f"?alerts={one.pk},{two.pk},abc,99999"
    form = client.get(url).context["form"]
    assert form["level"].value() == 4
    assert form["working_class"].value() == "intrusion"
    assert form["units"].value() == sorted([province.units["benh-vien"].pk, province.units["so-y-te"].pk])
    assert form["systems"].value() == [system.pk]
    answer = client.post(
        url,
        {
            **{
                name: form[name].value() or ""
                for name in ("title", "working_class", "classification", "level", "tlp", "unit")
            },
            "detected_at": "2026-11-24T09:41",
            "units": form["units"].value(),
            "systems": form["systems"].value(),
            "alerts": [one.pk, two.pk],
            "indicators": ["ip:203.0.113.9", "domain:not-offered.example.com"],
        },
    )
    incident = Incident.objects.get()
    assert answer["Location"] == reverse("incidents:detail", args=[incident.pk])
    assert set(incident.alerts.all()) == {one, two}
    assert [each.value for each in incident.indicators.all()] == ["203.0.113.9"]
    assert timezone.localtime(incident.detected_at).strftime("%H:%M") == "09:41"


def test_alerts_of_units_one_does_not_see_are_not_taken(province, signed_in, an_alert):
    foreign = an_alert("xa-mau", "Của xã")
    answer = signed_in(province.health).get(reverse("incidents:new") + f"?alerts={foreign.pk}")
    assert answer.context["alerts"] == []
    assert "Của xã" not in answer.content.decode()


def test_the_second_to_save_sees_what_is_new_and_loses_nothing(province, signed_in, opened):
    incident = opened()
    url = reverse("incidents:edit", args=[incident.pk])
    mine = form_of(incident, title="Tiêu đề của tôi", description="Viết dài")
    change_incident(province.analyst2, incident.pk, 1, title="Tiêu đề của người khác")
    client = signed_in(province.analyst)
    answer = client.post(url, mine)
    body = answer.content.decode()
    assert answer.status_code == 409
    assert "Tiêu đề của tôi" in body
    assert "Viết dài" in body
    assert "Tiêu đề của người khác" in body
    again = client.post(url, {**mine, "version": 2})
    incident.refresh_from_db()
    assert again.status_code == 302
    assert (incident.title, incident.description) == ("Tiêu đề của tôi", "Viết dài")


def test_who_may_not_lead_cannot_set_the_tlp_by_the_form(province, signed_in, opened):
    incident = opened()
    signed_in(province.health).post(
        reverse("incidents:edit", args=[incident.pk]), form_of(incident, tlp="RED", title="Mới")
    )
    incident.refresh_from_db()
    assert (incident.title, incident.tlp) == ("Mới", "AMBER")


def test_a_quick_note_comes_back_as_the_new_timeline(province, signed_in, opened):
    incident = opened()
    client = signed_in(province.health)
    url = reverse("incidents:write", args=[incident.pk])
    answer = client.post(
        url, {"kind": "action", "text": "Rút mạng", "at": "2026-11-24T09:41"}, headers={"HX-Request": "true"}
    )
    body = answer.content.decode()
    assert answer.status_code == 200
    assert "<html" not in body
    assert "Rút mạng" in body
    assert "24/11/2026 09:41" in body
    assert client.post(url, {"kind": "note", "text": "x"}).status_code == 302
    late = (timezone.localtime() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    refused = client.post(url, {"kind": "note", "text": "Giữ lại", "at": late}, headers={"HX-Request": "true"})
    assert refused.status_code == 400
    assert "Giữ lại" in refused.content.decode()


def test_the_timeline_is_narrowed_by_kind(province, signed_in, full):
    client = signed_in(province.analyst)
    url = reverse("incidents:timeline", args=[full.pk])
    kinds = {moment.kind for moment in client.get(url + "?kind=mail_in").context["moments"]}
    assert kinds == {"mail_in"}
    points = client.get(url).context["picture"]["points"]
    assert {point["attack"] for point in points} == {True, False}


def test_a_report_is_marked_as_sent_on_the_page(province, signed_in, opened):
    incident = opened(serious=True)
    clock = incident.clocks.get(code="first_notice")
    client = signed_in(province.health)
    url = reverse("incidents:clock_sent", args=[clock.pk])
    at = timezone.localtime().strftime("%Y-%m-%dT%H:%M")
    values = {"version": 1, "sent_at": at, "document_number": "12/BC-SYT", "recipient": "Cơ quan A"}
    assert client.post(url, values).status_code == 302
    assert client.post(url, {**values, "document_number": "khác"}).status_code == 409
    body = client.get(reverse("incidents:detail", args=[incident.pk])).content.decode()
    assert "12/BC-SYT" in body


def test_a_missed_deadline_stands_in_list_and_header(province, signed_in, opened):
    incident = opened(serious=True, detected_at=timezone.now() - timedelta(hours=30))
    client = signed_in(province.health)
    for url in (reverse("incidents:list") + "?state=closed", reverse("incidents:list")):
        assert "1 incident has missed a legal deadline" in client.get(url).content.decode()
    assert "overdue" in client.get(reverse("incidents:detail", args=[incident.pk])).content.decode()


def test_the_list_is_filtered_and_sorted_by_its_address(province, signed_in, opened):
    a = opened(title="Một", level=1, working_class="leak", leader=province.analyst)
    b = opened(title="Hai", level=4, unit="benh-vien")
    c = opened(title="Ba", unit="xa-mau", serious=True, detected_at=timezone.now() - timedelta(hours=30))
    client = signed_in(province.analyst)

    def shown(query: str) -> list[Incident]:
        return [row["incident"] for row in client.get(reverse("incidents:list") + query).context["rows"]]

    assert shown("") == [c, b, a]
    assert shown("?sort=level") == [a, c, b]
    assert shown("?sort=-title") == [a, b, c]
    assert shown("?working_class=leak") == [a]
    assert shown("?level=4") == [b]
    assert shown(f"?unit={province.units['xa-mau'].pk}") == [c]
    assert shown("?mine=on") == [a]
    assert shown(f"?leader={province.analyst.pk}") == [a]
    assert shown("?overdue=on") == [c]
    assert shown("?text=hai") == [b]
    assert shown("?state=nonsense&level=x&unit=zzz&sort=;drop") == [c, b, a]
    merging.merge(province.analyst, a.pk, 1, b.pk)
    assert shown("?state=all") == [c, b]
    assert shown("?state=merged") == [a]


def test_the_list_is_saved_as_a_workbook_and_that_is_in_the_audit_trail(province, signed_in, opened):
    opened(title="=1+1")
    answer = signed_in(province.health).get(reverse("incidents:list") + "?export=xlsx")
    sheet = openpyxl.load_workbook(BytesIO(b"".join(answer.streaming_content))).active
    rows = list(sheet.iter_rows(values_only=True))
    assert any("=1+1" in [str(cell) for cell in row] for row in rows)
    assert Entry.objects.filter(action="export").exists()


def test_text_is_searched_for_indicators_which_are_added_when_ticked(province, signed_in, opened):
    incident = opened()
    client = signed_in(province.health)
    url = reverse("incidents:indicators", args=[incident.pk])
    found = client.post(url, {"text": "tải từ hxxp://evil[.]top/a và 203[.]0[.]113[.]9"})
    assert "hxxp[://]evil[.]top/a" in found.content.decode()
    assert not incident.indicators.exists()
    client.post(url, {"chosen": ["url:http://evil.top/a", "ip:203.0.113.9"]})
    assert incident.indicators.count() == 2
    assert client.post(url, {"value": "zz", "kind": "hash", "tlp": "AMBER"}).status_code == 400
    assert 'data-copy="http://evil.top/a"' in client.get(url).content.decode()


def test_a_playbook_is_given_from_the_page(province, signed_in, opened):
    incident = opened()
    url = reverse("incidents:playbooks", args=[incident.pk])
    client = signed_in(province.analyst)
    client.post(url, {"playbook": "malware", "tasks": ["isolate"]})
    assert Task.objects.get().incident == incident
    assert "given before" in client.get(url).content.decode()
    assert client.post(url, {"playbook": "malware"}).status_code == 400
    assert Task.objects.count() == 1


def test_states_are_changed_closed_and_opened_again_from_the_page(province, signed_in, opened):
    incident = opened(serious=True)
    client = signed_in(province.analyst)
    client.post(reverse("incidents:state", args=[incident.pk]), {"status": "contained", "version": 1})
    client.post(reverse("incidents:state", args=[incident.pk]), {"status": "open", "version": 1})
    incident.refresh_from_db()
    assert (incident.status, incident.version) == ("contained", 2), "the second was told of the change"
    url = reverse("incidents:close", args=[incident.pk])
    told = {"version": 2, "cause": "a", "effect": "b", "lessons": "c"}
    assert client.post(url, told).status_code == 400
    assert client.post(url, {**told, "version": 1, "clocks_reason": "d"}).status_code == 409
    assert client.post(url, {**told, "clocks_reason": "d"}).status_code == 302
    client.post(reverse("incidents:reopen", args=[incident.pk]), {"version": 3, "reason": "Tái nhiễm"})
    incident.refresh_from_db()
    assert incident.status == "open"


def test_incidents_are_merged_and_split_from_the_page(province, signed_in, opened, an_alert):
    alert = an_alert()
    source, target = opened(alerts=[alert]), opened()
    client = signed_in(province.analyst)
    url = reverse("incidents:split", args=[source.pk])
    assert client.post(url, {"version": source.version, "title": "Riêng"}).status_code == 400
    assert client.post(url, {"version": 99, "title": "Riêng", "alerts": alert.pk}).status_code == 409
    assert client.post(url, {"version": source.version, "title": "Riêng", "alerts": alert.pk}).status_code == 302
    source.refresh_from_db()
    url = reverse("incidents:merge", args=[source.pk])
    assert client.post(url, {"version": source.version, "target": "SC-1999-0001"}).status_code == 400
    assert client.post(url, {"version": source.version, "target": target.number.lower()}).status_code == 302
    body = client.get(reverse("incidents:detail", args=[source.pk])).content.decode()
    assert target.number in body


def _many(province, opened, an_alert, times: int) -> Incident:
    incident = opened(alerts=[an_alert() for _ in range(2 * times)], serious=True, leader=province.analyst)
    for n in range(3 * times):
        write_entry(province.analyst, incident.pk, kind="note", text=f"Ghi {n}")
    incident.indicators.model.objects.bulk_create(
        incident.indicators.model(incident=incident, kind="domain", value=f"d{n}.example.com", digest=f"{n:064d}")
        for n in range(3 * times)
    )
    for n in range(2 * times):
        merging.relate(province.analyst, incident.pk, opened(title=f"Khác {n}", serious=True).pk)
    return incident


@pytest.mark.parametrize("page", ["list", "detail", "indicators", "timeline", "split", "edit", "playbooks"])
def test_a_page_asks_no_more_of_the_database_with_ten_times_the_rows(
    province, signed_in, opened, an_alert, page, django_assert_max_num_queries
):
    client = signed_in(province.analyst)
    few, many = _many(province, opened, an_alert, 1), _many(province, opened, an_alert, 10)

    def url(incident: Incident) -> str:
        return reverse("incidents:list") if page == "list" else reverse(f"incidents:{page}", args=[incident.pk])

    client.get(url(few))
    with django_assert_max_num_queries(60) as first:
        client.get(url(few))
    with django_assert_max_num_queries(len(first)):
        assert client.get(url(many)).status_code == 200
