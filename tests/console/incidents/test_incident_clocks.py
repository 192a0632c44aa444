"""The law's clocks: which run from when, what is missed, what was sent, who is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils.translation import override

from khien.console.accounts.access import Forbidden
from khien.console.audit.models import Entry
from khien.console.concurrency import Changed
from khien.console.incidents import clocks, selectors
from khien.console.incidents.chores import escalate_clocks
from khien.console.incidents.models import Clock
from khien.console.incidents.services import change_incident
from khien.console.notifications.models import Notice

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)


def running(incident) -> dict[str, timedelta]:
    return {clock.code: clock.due_at - clock.starts_at for clock in incident.clocks.filter(state="open")}


def test_an_ordinary_incident_has_no_clock(opened):
    incident = opened(detected_at=NOON)
    assert running(incident) == {}
    assert incident.next_due_at is None


def test_a_serious_one_is_told_within_24_and_explained_within_72_hours(opened):
    incident = opened(detected_at=NOON, serious=True)
    assert running(incident) == {"first_notice": timedelta(hours=24), "findings": timedelta(hours=72)}
    assert incident.next_due_at == NOON + timedelta(hours=24)


def test_signs_of_harm_to_security_are_told_at_once(opened):
    incident = opened(detected_at=NOON, urgent=True)
    assert running(incident)["at_once"] == timedelta(0)
    assert incident.clocks.get(code="at_once").is_overdue(NOON + timedelta(minutes=1))


def test_personal_data_has_its_own_clock_from_its_own_detection(opened):
    later = NOON + timedelta(hours=30)
    incident = opened(detected_at=NOON, personal_data=True, personal_data_at=later, now=NOON + timedelta(days=2))
    clock = incident.clocks.get()
    assert (clock.code, clock.starts_at, clock.due_at) == ("personal_data", later, later + timedelta(hours=72))
    assert clock.ruleset == "law-91-2025-personal-data"


def test_the_ruleset_is_the_one_in_force_on_the_day_of_detection(opened):
    before = datetime(2026, 8, 18, 16, 59, tzinfo=UTC)  # 23:59 on 18 August in the province
    assert running(opened(detected_at=before, serious=True, now=NOON)) == {}
    assert len(running(opened(detected_at=before + timedelta(minutes=1), serious=True, now=NOON))) == 2


def test_a_catalogue_of_ones_own_goes_by_class_and_severity(opened, settings, tmp_path):
    (tmp_path / "clocks.yml").write_text(
        """
rulesets:
  - ruleset: own
    effective_from: 2026-01-01
    source: a test
    clocks:
      - {code: leak, vi: Báo lộ dữ liệu, en: Leak, hours: 2, starts: detected, when: [{classes: [leak], min_level: 3}]}
""",
        encoding="utf-8",
    )
    settings.CATALOGUES = str(tmp_path)
    assert running(opened(working_class="leak", level=3)) == {"leak": timedelta(hours=2)}
    assert running(opened(working_class="leak", level=2)) == {}
    assert running(opened(working_class="malware", level=4, serious=True)) == {}


def test_clocks_follow_what_is_known(province, opened):
    incident = opened(detected_at=NOON, now=NOON + timedelta(hours=1))
    now = NOON + timedelta(hours=2)
    change_incident(province.analyst, incident.pk, 1, serious=True, now=now)
    assert set(running(incident)) == {"first_notice", "findings"}
    change_incident(province.analyst, incident.pk, 2, detected_at=NOON - timedelta(hours=5), now=now)
    assert incident.clocks.get(code="first_notice").due_at == NOON + timedelta(hours=19)
    changed = change_incident(province.analyst, incident.pk, 3, serious=False, now=now)
    assert (running(incident), changed.next_due_at) == ({}, None)
    assert {clock.state for clock in incident.clocks.all()} == {"withdrawn"}
    with override("en"):
        told = [entry.shown for entry in incident.entries.filter(kind="clock")]
    assert "Legal deadline: First notice (24 h)" in told
    assert "Legal deadline no longer applies: First notice (24 h)" in told


def test_a_missed_deadline_cannot_be_made_to_vanish_by_who_may_not_lead(province, opened):
    incident = opened(detected_at=NOON, serious=True, now=NOON)
    now = NOON + timedelta(hours=25)
    for change in ({"serious": False}, {"detected_at": NOON + timedelta(hours=20)}):
        with pytest.raises(ValidationError):
            change_incident(province.health, incident.pk, 1, now=now, **change)
    change_incident(province.analyst, incident.pk, 1, serious=False, now=now)
    assert running(incident) == {}


def test_a_report_sent_is_kept_with_number_recipient_and_confirmation(province, opened):
    incident = opened(detected_at=NOON, serious=True, now=NOON)
    clock = incident.clocks.get(code="first_notice")
    at = NOON + timedelta(hours=3)
    with pytest.raises(ValidationError):
        clocks.mark_sent(province.health, clock.pk, 1, sent_at=at, document_number="", recipient=" ", now=at)
    with pytest.raises(ValidationError):
        clocks.mark_sent(
            province.health, clock.pk, 1, sent_at=at + timedelta(hours=1), document_number="", recipient="A05", now=at
        )
    clocks.mark_sent(province.health, clock.pk, 1, sent_at=at, document_number="12/BC-SYT", recipient="A05", now=at)
    with pytest.raises(Changed):
        clocks.mark_sent(province.health, clock.pk, 1, sent_at=at, document_number="13", recipient="A05", now=at)
    clocks.mark_sent(
        province.health,
        clock.pk,
        2,
        sent_at=at,
        document_number="12/BC-SYT",
        recipient="A05",
        confirmation="Đã nhận",
        now=at,
    )
    clock.refresh_from_db()
    incident.refresh_from_db()
    assert (clock.state, clock.confirmation, clock.was_late) == ("sent", "Đã nhận", False)
    assert incident.next_due_at == NOON + timedelta(hours=72)
    assert Entry.objects.filter(action="incident.report_sent").count() == 2
    assert incident.entries.filter(kind="clock", text__startswith="Report sent").count() == 1


def test_a_report_sent_late_is_said_to_be_late(province, opened):
    incident = opened(detected_at=NOON, serious=True, now=NOON)
    clock = incident.clocks.get(code="first_notice")
    at = NOON + timedelta(hours=24, minutes=1)
    assert clocks.mark_sent(
        province.health, clock.pk, 1, sent_at=at, document_number="1", recipient="A05", now=at
    ).was_late


def test_only_who_leads_may_say_why_a_report_is_not_sent(province, opened):
    incident = opened(detected_at=NOON, serious=True)
    clock = incident.clocks.get(code="findings")
    with pytest.raises(Forbidden):
        clocks.waive(province.health, clock.pk, 1, reason="Không cần")
    with pytest.raises(ValidationError):
        clocks.waive(province.analyst, clock.pk, 1, reason=" ")
    clocks.waive(province.analyst, clock.pk, 1, reason="Diễn tập")
    assert Entry.objects.get(action="incident.report_waived").after["reason"] == "Diễn tập"
    with pytest.raises(Clock.DoesNotExist):
        clocks.waive(province.analyst, 10_000, 1, reason="x")


def test_people_are_warned_before_when_missed_and_every_day_each_time_once(province, opened):
    incident = opened(detected_at=NOON, serious=True, leader=province.analyst2, team=[province.health], now=NOON)
    Notice.objects.all().delete()
    due = NOON + timedelta(hours=24)

    def told(at: datetime) -> list[tuple[str, str]]:
        Notice.objects.all().delete()
        escalate_clocks(at)
        escalate_clocks(at)
        rows = Notice.objects.values_list("kind", "user__email")
        return sorted((kind.removeprefix("incident.clock_"), email.split("@")[0]) for kind, email in rows)

    assert told(due - timedelta(hours=7)) == []
    assert told(due - timedelta(hours=5, minutes=59)) == [("soon", "analyst2"), ("soon", "health")]
    assert told(due - timedelta(hours=5)) == []
    assert told(due - timedelta(minutes=50)) == [("soon", name) for name in ("analyst", "analyst2", "chair", "health")]
    assert told(due + timedelta(minutes=1)) == [("missed", name) for name in ("analyst", "analyst2", "chair", "health")]
    assert told(due + timedelta(hours=20)) == []
    assert len(told(due + timedelta(hours=25))) == 4
    assert incident.entries.filter(text__startswith="Legal deadline missed").count() == 1
    assert selectors.overdue_count(province.health, due + timedelta(hours=1)) == 1


def test_nobody_is_told_of_what_was_sent(province, opened):
    incident = opened(detected_at=NOON, serious=True, now=NOON)
    Notice.objects.all().delete()
    for clock in incident.clocks.all():
        clocks.waive(province.analyst, clock.pk, clock.version, reason="Đã báo qua điện thoại")
    assert escalate_clocks(NOON + timedelta(days=9)) == 0
    assert not Notice.objects.exists()
