"""From a session's conclusion to a directive that units carry out."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from console_api import Api
from khien.console.accounts.access import Forbidden
from khien.console.concurrency import Changed
from khien.console.directives import handling, issuing, sessions
from khien.console.directives.checking import confirm
from khien.console.directives.models import AmendmentKind, Attendance, Directive, DirectiveState, Session, Task
from khien.console.directives.rights import NotYours
from khien.console.notifications.models import Notice
from khien.console.units.models import Appointment

pytestmark = pytest.mark.django_db


@pytest.fixture
def due():
    return timezone.now() + timedelta(days=10)


@pytest.fixture
def session(province):
    made = sessions.plan(province.analyst, title="Phiên họp quý I", starts_at=timezone.now())
    sessions.hold(province.analyst, made.pk, 1)
    return sessions.set_conclusion(province.analyst, made.pk, 2, text="Rà soát toàn bộ tài khoản quản trị.")


@pytest.fixture
def directive(province, session, due):
    units = {province.units["so-y-te"]: None, province.units["xa-mau"]: due + timedelta(days=5)}
    return issuing.draft(
        province.analyst,
        title="Rà soát tài khoản",
        text="Các đơn vị rà soát.",
        basis="Luật An ninh mạng",
        due_at=due,
        units=units,
        conclusion=session.conclusions.get(),
    )


def test_sessions_are_numbered_within_their_year(province):
    start = timezone.make_aware(timezone.datetime(2027, 1, 2, 8))
    numbers = [sessions.plan(province.analyst, title="x", starts_at=start).number for _n in range(2)]
    assert numbers == ["PH-2027-01", "PH-2027-02"]
    with pytest.raises(ValidationError):
        sessions.plan(province.analyst, title="x", starts_at=start, number="PH-2027-01")


def test_only_those_who_prepare_sessions_and_see_all_units_plan_them(province):
    for who in (province.health, province.admin, province.auditor):
        with pytest.raises(Forbidden):
            sessions.plan(who, title="x", starts_at=timezone.now())
    province.analyst.unit = province.units["so-y-te"]
    with pytest.raises(NotYours):
        sessions.plan(province.analyst, title="x", starts_at=timezone.now())


def test_who_was_called_came_or_sent_somebody(province, session):
    seat = Appointment.objects.create(
        seat="chair",
        person="Ông Mẫu",
        decision_number="1/QĐ",
        decision_date="2026-01-01",
        starts_on="2026-01-01",
    )
    sessions.call(province.analyst, session.pk, 3, appointments=[seat], units=[province.units["xa-mau"]])
    sessions.call(province.analyst, session.pk, 4, appointments=[seat], units=[province.units["xa-mau"]])
    chair, commune = session.attendance.all()
    assert session.attendance.count() == 2
    with pytest.raises(ValidationError):
        sessions.record_attendance(province.analyst, session.pk, 5, {commune.pk: ("substitute", "", "")})
    sessions.record_attendance(
        province.analyst, session.pk, 5, {chair.pk: ("present", "Ông Mẫu", ""), commune.pk: ("absent", "", "Bão")}
    )
    assert sorted(Attendance.objects.values_list("presence", flat=True)) == ["absent", "present"]
    assert list(Session.objects.visible_to(province.commune)) == [session]
    assert not Session.objects.visible_to(province.health).exists()


def test_the_agenda_is_put_in_order(province, session):
    by, version = province.analyst, 3
    for title in "abc":
        session = sessions.set_agenda_item(by, session.pk, version, title=title)
        version = session.version
    sessions.move_agenda_item(by, session.pk, None, session.agenda.get(title="c").pk, up=True)
    sessions.remove_agenda_item(by, session.pk, None, session.agenda.get(title="a").pk)
    assert list(session.agenda.values_list("position", "title")) == [(1, "c"), (2, "b")]


def test_concluded_minutes_stand_until_the_chair_opens_them(province, session):
    sessions.conclude(province.analyst, session.pk, 3)
    with pytest.raises(ValidationError):
        sessions.write_minutes(province.analyst, session.pk, 4, "x")
    with pytest.raises(Forbidden):
        sessions.reopen(province.analyst, session.pk, 4)
    sessions.reopen(province.chair, session.pk, 4)
    sessions.write_minutes(province.analyst, session.pk, 5, "x")


def test_a_conclusion_that_a_directive_comes_from_stays(province, session, directive):
    with pytest.raises(ValidationError):
        sessions.remove_conclusion(province.analyst, session.pk, 3, session.conclusions.get().pk)


def test_the_second_editor_of_a_session_is_told(province, session):
    sessions.write_minutes(province.analyst, session.pk, 3, "x")
    with pytest.raises(Changed):
        sessions.write_minutes(province.analyst2, session.pk, 3, "y")


def test_the_chair_issues_and_each_unit_gets_its_task(province, directive, due):
    assert Notice.objects.filter(kind="directive.draft").get().user == province.chair
    with pytest.raises(Forbidden):
        issuing.issue(province.analyst, directive.pk, 1)
    issued = issuing.issue(province.chair, directive.pk, 1)
    assert issued.label == "1/CĐ-TBATANM"
    assert issued.signer == province.chair
    assert {(task.unit.code, task.due_at) for task in issued.tasks.all()} == {
        ("so-y-te", due),
        ("xa-mau", due + timedelta(days=5)),
    }
    assert {notice.user for notice in Notice.objects.filter(kind="task.new")} == {province.health, province.commune}


def test_a_number_is_given_once(province, directive, due):
    issuing.issue(province.chair, directive.pk, 1, number=7)
    other = issuing.draft(province.chair, title="y", text="y", due_at=due, units={province.units["so-y-te"]: None})
    with pytest.raises(ValidationError):
        issuing.issue(province.chair, other.pk, 1, number=7)
    assert issuing.issue(province.chair, other.pk, 1).number == 8


def test_a_draft_is_seen_by_those_who_see_all_and_an_issued_one_by_its_units(province, directive):
    seen = lambda: {  # noqa: E731
        who for who, user in province.people.items() if Directive.objects.visible_to(user).exists()
    }
    office = {"chair", "analyst", "analyst2", "admin", "auditor"}
    assert seen() == office
    issuing.issue(province.chair, directive.pk, 1)
    assert seen() == office | {"health", "commune"}


def test_an_issued_directive_is_changed_only_by_amendment(province, directive, due):
    issuing.issue(province.chair, directive.pk, 1)
    with pytest.raises(ValidationError):
        issuing.edit_draft(province.analyst, directive.pk, 2, units={province.units["xa-mau"]: None}, title="z")
    later = due + timedelta(days=1)
    issuing.amend_due(province.chair, directive.pk, 2, due_at=later, reason="Lễ")
    issuing.add_unit(province.chair, directive.pk, 3, unit=province.units["bao-mau"], reason="Bổ sung")
    issuing.remove_unit(province.chair, directive.pk, 4, unit=province.units["xa-mau"], reason="Sáp nhập")
    tasks = {task.unit.code: task for task in Task.objects.all()}
    assert (tasks["so-y-te"].due_at, tasks["bao-mau"].due_at) == (later, later)
    assert (tasks["xa-mau"].due_at, tasks["xa-mau"].state) == (due + timedelta(days=5), "cancelled")
    assert [row.kind for row in directive.amendments.all()] == [
        AmendmentKind.DUE,
        AmendmentKind.UNIT_ADDED,
        AmendmentKind.UNIT_REMOVED,
    ]
    assert all(row.reason and row.by == province.chair for row in directive.amendments.all())


def test_the_due_time_of_one_unit_is_amended(province, directive, due):
    issuing.issue(province.chair, directive.pk, 1)
    later = due + timedelta(days=30)
    issuing.amend_due(province.chair, directive.pk, 2, due_at=later, reason="Khó khăn", unit=province.units["so-y-te"])
    assert Task.objects.get(unit__code="so-y-te").due_at == later
    assert Task.objects.get(unit__code="xa-mau").due_at == due + timedelta(days=5)


def test_a_unit_taken_out_and_told_again_gets_a_new_task(province, directive):
    issuing.issue(province.chair, directive.pk, 1)
    unit = province.units["xa-mau"]
    issuing.remove_unit(province.chair, directive.pk, 2, unit=unit, reason="Nhầm")
    issuing.add_unit(province.chair, directive.pk, 3, unit=unit, reason="Không nhầm")
    assert sorted(Task.objects.filter(unit=unit).values_list("state", flat=True)) == ["cancelled", "sent"]


def test_a_directive_is_closed_when_all_is_done_and_withdrawn_any_time(province, directive):
    issuing.issue(province.chair, directive.pk, 1)
    with pytest.raises(ValidationError):
        issuing.close(province.chair, directive.pk, 2)
    for task, by in ((task, task.unit.users.first()) for task in Task.objects.all()):
        handling.accept(by, task.pk, None)
        handling.finish(by, task.pk, None, text="Xong")
        confirm(province.analyst, task.pk, None)
    assert issuing.close(province.chair, directive.pk, 2).state == DirectiveState.CLOSED


def test_withdrawing_cancels_what_is_open(province, directive):
    issuing.issue(province.chair, directive.pk, 1)
    issuing.withdraw(province.chair, directive.pk, 2, reason="Thay thế")
    assert set(Task.objects.values_list("state", flat=True)) == {"cancelled"}


def test_a_draft_tells_only_units_one_sees_and_at_least_one(province, due):
    with pytest.raises(ValidationError):
        issuing.draft(province.analyst, title="x", text="x", due_at=due, units={})
    unit = province.units["xa-mau"]
    unit.is_active = False
    unit.save()
    with pytest.raises(ValidationError):
        issuing.draft(province.analyst, title="x", text="x", due_at=due, units={unit: None})
    assert not Directive.objects.exists()


def test_nothing_is_issued_for_a_time_that_has_passed(province, directive):
    Directive.objects.update(due_at=timezone.now() - timedelta(hours=1))
    with pytest.raises(ValidationError):
        issuing.issue(province.chair, directive.pk, 1)
    directive.refresh_from_db()
    assert (directive.state, directive.number, Task.objects.count()) == (DirectiveState.DRAFT, None, 0)


def test_those_called_to_a_session_are_told(province, session):
    sessions.call(province.analyst, session.pk, 3, units=[province.units["so-y-te"]])
    notice = Notice.objects.get(kind="session.call")
    assert (notice.user, notice.url) == (province.health, f"/sessions/{session.pk}/")


def test_a_unit_reads_of_a_directive_in_the_api_only_what_it_is_told_itself(province, directive):
    issuing.issue(province.chair, directive.pk, 1)
    told = Api(province.health, "directives:read")("GET", f"/directives/{directive.pk}").json()["units"]
    assert [each["unit"]["code"] for each in told] == ["so-y-te"]
    everything = Api(province.analyst, "directives:read")("GET", f"/directives/{directive.pk}").json()["units"]
    assert {each["unit"]["code"] for each in everything} == {"so-y-te", "xa-mau"}
