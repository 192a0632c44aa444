"""Opening incidents, changing them, taking them through their states."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import override

from khien.console.accounts.access import Forbidden
from khien.console.audit.models import Entry
from khien.console.concurrency import Changed
from khien.console.incidents.models import EntryKind, Incident, IncidentStatus
from khien.console.incidents.services import (
    change_incident,
    close_incident,
    open_incident,
    reopen_incident,
    set_status,
)
from khien.console.incidents.timeline import mend_entry, record_mail, write_entry
from khien.console.notifications.models import Notice

pytestmark = pytest.mark.django_db
TOLD = {"cause": "Thư lừa đảo", "effect": "Hai máy nhiễm", "lessons": "Bật xác thực hai bước"}


def test_an_incident_gets_the_next_number_of_its_year(opened):
    assert opened().number == f"SC-{timezone.localtime().year}-0001"
    assert opened().number == f"SC-{timezone.localtime().year}-0002"


def test_numbers_begin_anew_at_midnight_of_the_province(province, opened):
    detected = datetime(2026, 12, 31, 10, tzinfo=UTC)
    before = opened(detected_at=detected, now=datetime(2026, 12, 31, 16, 59, tzinfo=UTC))
    after = opened(detected_at=detected, now=datetime(2026, 12, 31, 17, 0, tzinfo=UTC))
    assert (before.number, after.number) == ("SC-2026-0001", "SC-2027-0001")


def test_an_opening_that_fails_leaves_no_gap(province, opened):
    def fail() -> None:
        with transaction.atomic():
            opened()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert opened().number.endswith("-0001")


@pytest.mark.django_db(transaction=True)
def test_numbers_have_no_gap_and_none_comes_twice_when_many_open_at_once(province):
    def one(n: int) -> str:
        try:
            return open_incident(province.analyst, title=f"Sự cố {n}", level=2, unit=province.units["so-y-te"]).number
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        numbers = sorted(pool.map(one, range(24)))
    year = timezone.localtime().year
    assert numbers == [f"SC-{year}-{n:04d}" for n in range(1, 25)]


def test_each_class_follows_from_the_other(opened):
    assert opened(working_class="leak").classification == "data-leak"
    assert opened(working_class="", classification="ddos").working_class == "denial_of_service"
    assert opened(working_class="").working_class == "other"
    with pytest.raises(ValidationError):
        opened(classification="no-such-type")


def test_detection_is_kept_to_the_minute_and_lies_in_the_past(opened):
    at = timezone.now() - timedelta(minutes=7, seconds=13)
    assert opened(detected_at=at).detected_at == at.replace(second=0, microsecond=0)
    with pytest.raises(ValidationError, match="future"):
        opened(detected_at=timezone.now() + timedelta(hours=1))


def test_one_opens_incidents_only_of_what_one_sees(province, opened, a_system, an_alert):
    with pytest.raises(ValidationError):
        opened(by=province.hospital, unit="xa-mau")
    with pytest.raises(ValidationError):
        opened(by=province.hospital, unit="benh-vien", units=[province.units["xa-mau"]])
    with pytest.raises(ValidationError):
        opened(by=province.hospital, unit="benh-vien", systems=[a_system("xa", "xa-mau")])
    with pytest.raises(ValidationError):
        opened(by=province.hospital, unit="benh-vien", leader=province.analyst)
    with pytest.raises(Forbidden):
        opened(by=province.chair)
    with pytest.raises(Forbidden):
        opened(by=province.press)
    assert Incident.objects.count() == 0


def test_alerts_and_their_entities_come_with_it(province, opened, an_alert):
    alert = an_alert()
    incident = opened(alerts=[alert], indicators=[("ip", "203.0.113.9"), ("", "Evil[.]example.com")])
    alert.refresh_from_db()
    assert alert.incident == incident
    assert {each.value for each in incident.indicators.all()} == {"203.0.113.9", "evil.example.com"}


def test_who_is_named_is_told(province, opened):
    incident = opened(leader=province.analyst2, team=[province.health], serious=True)
    kinds = dict(Notice.objects.values_list("user__email", "kind").filter(kind="incident.named"))
    assert set(kinds) == {"analyst2@example.vn", "health@example.vn"}
    assert Notice.objects.filter(
        kind="incident.serious", user=province.chair, url=f"/incidents/{incident.pk}/"
    ).exists()
    assert not Notice.objects.filter(user=province.commune).exists()


def test_the_second_to_change_is_told(province, opened):
    incident = opened()
    change_incident(province.analyst, incident.pk, 1, title="Một")
    with pytest.raises(Changed) as raised:
        change_incident(province.analyst2, incident.pk, 1, title="Hai")
    assert raised.value.current.title == "Một"


def test_a_change_is_in_the_audit_trail_with_before_and_after(province, opened):
    incident = opened()
    change_incident(province.analyst, incident.pk, 1, level=4, units=[province.units["benh-vien"]])
    entry = Entry.objects.get(action="incident.change")
    assert entry.before == {"level": 3, "units": []}
    assert entry.after == {"level": 4, "units": [province.units["benh-vien"].pk]}
    assert "Severity: High → Critical" in [each.shown for each in incident.entries.all()]


def test_a_change_of_class_takes_the_usual_rsit_type(province, opened):
    incident = opened()
    changed = change_incident(
        province.analyst, incident.pk, 1, working_class="leak", classification=incident.classification
    )
    assert changed.classification == "data-leak"


def test_what_one_does_not_see_of_a_list_stays(province, opened, a_system):
    mine, theirs = a_system("bv", "benh-vien"), a_system("xa", "xa-mau")
    incident = opened(
        unit="benh-vien", systems=[mine, theirs], units=[province.units["benh-vien"], province.units["xa-mau"]]
    )
    change_incident(province.hospital, incident.pk, 1, systems=[], units=[province.units["benh-vien"]])
    assert list(incident.systems.all()) == [theirs]
    assert set(incident.units.all()) == {province.units["benh-vien"], province.units["xa-mau"]}
    with pytest.raises(ValidationError):
        change_incident(province.hospital, incident.pk, 2, systems=[a_system("xb", "xa-mau")])


def test_only_who_leads_sets_the_tlp(province, opened):
    incident = opened(by=province.health)
    with pytest.raises(Forbidden):
        change_incident(province.health, incident.pk, 1, tlp="RED")
    change_incident(province.analyst, incident.pk, 1, tlp="RED")
    assert province.analyst in incident.team.all(), "who makes it sensitive keeps seeing it"


def test_an_incident_goes_through_its_states_and_closes_with_cause_effect_and_lessons(province, opened):
    incident = opened()
    set_status(province.health, incident.pk, 1, "contained")
    set_status(province.health, incident.pk, 2, "resolved")
    with pytest.raises(Forbidden):
        close_incident(province.health, incident.pk, 3, **TOLD)
    with pytest.raises(ValidationError) as raised:
        close_incident(province.analyst, incident.pk, 3, cause="Rõ", effect=" ", lessons="")
    assert set(raised.value.message_dict) == {"effect", "lessons"}
    closed = close_incident(province.analyst, incident.pk, 3, **TOLD)
    assert (closed.status, closed.cause) == (IncidentStatus.CLOSED, "Thư lừa đảo")
    with pytest.raises(ValidationError, match="reopen"):
        change_incident(province.analyst, incident.pk, 4, title="Khác")
    again = reopen_incident(province.analyst, incident.pk, 4, reason="Tái nhiễm")
    assert (again.status, again.closed_at, again.lessons) == (IncidentStatus.OPEN, None, TOLD["lessons"])
    actions = Entry.objects.order_by("number").values_list("action", flat=True)
    assert list(actions) == [
        "incident.open",
        "incident.set_state",
        "incident.set_state",
        "incident.close",
        "incident.reopen",
    ]


def test_closing_with_reports_due_needs_a_reason_which_is_kept(province, opened):
    incident = opened(serious=True)
    with override("en"), pytest.raises(ValidationError, match="First notice"):
        close_incident(province.analyst, incident.pk, 1, **TOLD)
    close_incident(province.analyst, incident.pk, 1, **TOLD, clocks_reason="Diễn tập")
    assert {(each.state, each.reason) for each in incident.clocks.all()} == {("waived", "Diễn tập")}
    incident.refresh_from_db()
    assert incident.next_due_at is None


def test_notes_may_tell_of_the_past_but_not_of_the_future(province, opened):
    incident = opened()
    at = timezone.now() - timedelta(days=2)
    entry = write_entry(province.health, incident.pk, kind="action", text=" Rút mạng ", at=at)
    assert (entry.text, entry.at, entry.by) == ("Rút mạng", at, province.health)
    for bad in (
        {"text": "  "},
        {"text": "x", "at": timezone.now() + timedelta(hours=1)},
        {"text": "x", "kind": "state"},
    ):
        with pytest.raises(ValidationError):
            write_entry(province.health, incident.pk, **{"kind": "note", **bad})
    with pytest.raises(Incident.DoesNotExist):
        write_entry(province.commune, incident.pk, kind="note", text="x")
    with pytest.raises(Forbidden):
        write_entry(province.chair, incident.pk, kind="note", text="x")


def test_a_mended_note_keeps_its_earlier_wording(province, opened):
    incident = opened()
    entry = write_entry(province.health, incident.pk, kind="note", text="Cũ")
    mend_entry(province.health, entry.pk, 1, text="Mới", at=entry.at)
    entry.refresh_from_db()
    assert (entry.text, entry.data["earlier"][0]["text"]) == ("Mới", "Cũ")
    with pytest.raises(Changed):
        mend_entry(province.health, entry.pk, 1, text="Nữa", at=entry.at)
    by_analyst = write_entry(province.analyst, incident.pk, kind="note", text="Của người khác")
    with pytest.raises(Forbidden):
        mend_entry(province.health, by_analyst.pk, 1, text="Sửa", at=entry.at)
    state = incident.entries.filter(kind=EntryKind.STATE).first()
    with pytest.raises(ValidationError):
        mend_entry(province.analyst, state.pk, 1, text="Sửa", at=entry.at)


def test_mails_are_kept_with_who_wrote_to_whom(province, opened):
    incident = opened()
    entry = record_mail(
        province.health,
        incident.pk,
        received=True,
        sender="a@example.vn",
        to="b@example.vn",
        subject="Hỏi",
        text="Nội dung",
    )
    assert entry.kind == "mail_in"
    assert entry.data == {"from": "a@example.vn", "to": "b@example.vn", "subject": "Hỏi"}
