"""Two people do at once what only one can: the second is told, nothing is there twice, and nothing fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import override

from console_threads import at_once
from khien.console.accounts import first_administrator, invitations, people
from khien.console.accounts.models import Invitation, User
from khien.console.accounts.roles import Role
from khien.console.api import webhooks
from khien.console.api.models import Webhook
from khien.console.concurrency import Changed
from khien.console.directives import checking, handling, issuing, sessions, tasks
from khien.console.directives.models import Conclusion, Directive, Session, SessionState, Task, TaskState
from khien.console.incidents import merging
from khien.console.incidents.models import Incident, IncidentStatus
from khien.console.incidents.services import close_incident, open_incident
from khien.console.systems import services as systems
from khien.console.systems.models import InformationSystem
from khien.console.units import services as units
from khien.console.units import subcommittee
from khien.console.units.models import Appointment, Unit, UnitKind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.alone]
DUE = timezone.now() + timedelta(days=20)


@pytest.fixture
def slow(monkeypatch: Any) -> Callable[..., None]:
    """`slow(module, name)`: that function returns half a second late, so that others come in between."""

    def slowed(place: Any, name: str) -> None:
        plain = getattr(place, name)

        def late(*given: Any, **more: Any) -> Any:
            found = plain(*given, **more)
            time.sleep(0.5)
            return found

        monkeypatch.setattr(place, name, late)

    return slowed


def kinds(wrong: list[BaseException]) -> list[type[BaseException]]:
    return [type(each) for each in wrong]


def test_two_chairs_are_appointed(province, slow):
    slow(subcommittee, "_check")
    seat = {"seat": "chair", "decision_number": "1/QĐ", "decision_date": date(2026, 1, 5)}
    wrong = at_once(
        lambda: subcommittee.appoint(province.admin, person="Ông Mẫu A", starts_on=date(2026, 2, 1), **seat),
        lambda: subcommittee.appoint(province.admin, person="Bà Mẫu B", starts_on=date(2026, 3, 1), **seat),
    )
    assert kinds(wrong) == [ValidationError]
    assert "starts_on" in wrong[0].message_dict
    assert [row.person for row in Appointment.objects.all()] == ["Ông Mẫu A"]


def test_the_same_term_is_replaced_twice(province):
    seat = {"decision_number": "1/QĐ", "decision_date": date(2026, 1, 5)}
    old = subcommittee.appoint(province.admin, seat="chair", person="A", starts_on=date(2025, 2, 1), **seat)
    wrong = at_once(
        *(
            lambda name=name: subcommittee.replace(
                province.admin, old.pk, 1, person=name, starts_on=date(2026, 2, 1), **seat
            )
            for name in "BC"
        )
    )
    assert kinds(wrong) == [Changed]
    assert Appointment.objects.count() == 2


def test_sessions_and_directives_are_numbered_without_gap(province, slow):
    slow(sessions, "_next_number")
    slow(issuing, "_next_number")
    drafts = [
        issuing.draft(province.analyst, title=str(n), text="x", due_at=DUE, units={province.units["so-y-te"]: None})
        for n in range(3)
    ]
    assert not at_once(*(lambda each=each: issuing.issue(province.chair, each.pk, 1) for each in drafts))
    assert not at_once(*(lambda n=n: sessions.plan(province.analyst, title=str(n), starts_at=DUE) for n in range(3)))
    assert sorted(Directive.objects.values_list("number", flat=True)) == [1, 2, 3]
    assert sorted(Session.objects.values_list("number", flat=True)) == [
        f"PH-{timezone.localtime(DUE).year}-0{n}" for n in (1, 2, 3)
    ]


def test_a_directive_is_issued_twice_or_under_a_number_that_is_taken(province):
    one, two = (
        issuing.draft(province.analyst, title=each, text="x", due_at=DUE, units={province.units["so-y-te"]: None})
        for each in "ab"
    )
    wrong = at_once(*(lambda: issuing.issue(province.chair, one.pk, None) for _ in range(2)))
    assert kinds(wrong) == [ValidationError]
    with pytest.raises(ValidationError):
        issuing.issue(province.chair, two.pk, None, number=1)
    assert Task.objects.count() == 1


def test_a_conclusion_is_taken_out_while_a_directive_is_drafted_from_it(province, slow):
    session = sessions.plan(province.analyst, title="x", starts_at=timezone.now())
    Session.objects.filter(pk=session.pk).update(state=SessionState.HELD)
    sessions.set_conclusion(province.analyst, session.pk, None, text="Làm ngay")
    conclusion = Conclusion.objects.get()
    slow(issuing, "_set_units")
    told = {"title": "a", "text": "x", "due_at": DUE, "units": {province.units["so-y-te"]: None}}
    wrong = at_once(
        lambda: issuing.draft(province.analyst, conclusion=conclusion, **told),
        lambda: sessions.remove_conclusion(province.analyst, session.pk, None, conclusion.pk),
    )
    assert kinds(wrong) == [ValidationError]
    assert Directive.objects.get().conclusion == conclusion
    wrong = at_once(lambda: issuing.draft(province.analyst, conclusion=Conclusion(pk=0, session=session), **told))
    assert kinds(wrong) == [Conclusion.DoesNotExist]


def test_a_task_is_accepted_handed_out_and_decided_on_twice(province):
    task = tasks.create_task(province.analyst, unit=province.units["so-y-te"], title="x", due_at=DUE)
    other = User.objects.create_user("two@example.vn", name="Hai", unit=province.units["so-y-te"], role="duty_officer")
    wrong = at_once(*(lambda: handling.accept(province.health, task.pk, 1) for _ in range(2)))
    assert kinds(wrong) == [Changed]
    wrong = at_once(*(lambda who=who: handling.assign(province.health, task.pk, 2, who) for who in (other, None)))
    assert kinds(wrong) == [Changed]
    handling.ask_more_time(province.health, task.pk, 3, until=DUE + timedelta(days=5), reason="Chờ")
    wrong = at_once(
        lambda: checking.grant(province.analyst, task.pk, 4),
        lambda: checking.refuse(province.analyst2, task.pk, None, reason="Không"),
    )
    assert kinds(wrong) == [ValidationError]
    handling.finish(province.health, task.pk, 5, text="Xong")
    wrong = at_once(
        lambda: checking.confirm(province.analyst, task.pk, None),
        lambda: checking.send_back(province.analyst2, task.pk, None, reason="Thiếu"),
    )
    assert kinds(wrong) == [ValidationError]
    task.refresh_from_db()
    assert (task.state, task.version, task.due_at) == (TaskState.DONE, 7, DUE + timedelta(days=5))


def test_an_incident_is_closed_while_it_is_merged(province, slow):
    one, two = (open_incident(province.analyst, title=each, level=2, unit=province.units["so-y-te"]) for each in "ab")
    slow(merging, "_unite")
    wrong = at_once(
        lambda: merging.merge(province.analyst, one.pk, one.version, two.pk),
        lambda: close_incident(
            province.analyst2, one.pk, one.version, cause="a", effect="b", lessons="c", clocks_reason="d"
        ),
        lambda: merging.merge(province.analyst2, two.pk, two.version, one.pk),
    )
    assert kinds(wrong) == [Changed, Changed]
    assert Incident.objects.get(pk=one.pk).status == IncidentStatus.MERGED
    assert Incident.objects.get(pk=two.pk).status == IncidentStatus.OPEN


def test_two_administrators_deactivate_each_other(province):
    second = User.objects.create_user(
        "b@example.vn", name="B", unit=province.units["thuong-truc"], role="administrator"
    )
    with override("en"):
        wrong = at_once(
            lambda: people.deactivate(province.admin, second.pk, 1),
            lambda: people.deactivate(second, province.admin.pk, 1),
        )
    assert kinds(wrong) == [ValidationError]
    assert User.objects.filter(role=Role.ADMINISTRATOR, is_active=True).count() == 1


def test_an_invitation_is_taken_up_revoked_and_given_anew(province, slow):
    slow(invitations, "_send")
    invited = [province.admin, "moi@example.vn", "Mới", province.units["so-y-te"], Role.DUTY_OFFICER]
    made, link = invitations.invite(*invited)
    token = link.rstrip("/").rpartition("/")[2]
    wrong = at_once(
        lambda: invitations.accept(token, "correct horse battery"),
        lambda: invitations.revoke(province.admin, made),
        lambda: invitations.invite(*invited),
        lambda: invitations.accept(token, "correct horse battery"),
    )
    assert kinds(wrong) == [ValidationError] * 3
    assert Invitation.objects.get().state == "used"


def test_somebody_is_invited_while_they_join(province, monkeypatch):
    invited = [province.admin, "moi@example.vn", "Mới", province.units["so-y-te"], Role.DUTY_OFFICER]
    _made, link = invitations.invite(*invited)
    plain = invitations.secrets.token_urlsafe

    def late(size: int) -> str:
        time.sleep(0.5)
        return plain(size)

    monkeypatch.setattr(invitations.secrets, "token_urlsafe", late)
    wrong = at_once(
        lambda: invitations.invite(*invited),
        lambda: invitations.accept(link.rstrip("/").rpartition("/")[2], "correct horse battery"),
    )
    assert kinds(wrong) == [ValidationError]
    assert Invitation.objects.count() == 1


def test_the_first_administrator_is_made_twice(db, slow):
    slow(first_administrator, "_standing_office")
    wrong = at_once(*(lambda: first_administrator.create_administrator("a@example.vn", "A") for _ in range(2)))
    assert wrong == []
    assert User.objects.count() == 1


def test_things_of_one_name_get_a_code_each(province, slow):
    slow(units, "free_code")
    slow(systems, "free_code")
    kind, above = UnitKind.objects.get(code="department"), province.units["tieu-ban"]
    unit = province.units["so-y-te"]
    assert not at_once(
        *(lambda: units.create_unit(province.admin, name="Sở Mới", kind=kind, parent=above) for _ in range(2)),
        *(lambda: systems.create_system(province.admin, name="Thư", unit=unit, level=2) for _ in range(2)),
    )
    assert sorted(Unit.objects.filter(name="Sở Mới").values_list("code", flat=True)) == ["so-moi", "so-moi-2"]
    assert sorted(InformationSystem.objects.values_list("code", flat=True)) == ["thu", "thu-2"]


def test_a_code_is_given_twice(province, slow):
    slow(units, "_place_for")
    slow(systems, "_check")
    slow(units, "locked_kind")
    kind, above = UnitKind.objects.get(code="department"), province.units["tieu-ban"]
    unit = province.units["so-y-te"]
    for work in (
        lambda: units.create_unit(province.admin, name="Sở", code="so", kind=kind, parent=above),
        lambda: systems.create_system(province.admin, name="Thư", code="thu", unit=unit, level=2),
        lambda: units.save_kind(province.admin, None, None, code="so-nganh", name_vi="Sở", name_en="Dept"),
    ):
        assert kinds(at_once(work, work)) == [ValidationError]


def test_a_unit_is_made_below_one_that_moves_or_closes(province, slow):
    slow(units, "_may_give")
    kind, above = UnitKind.objects.get(code="hospital"), province.units["xa-mau"]
    User.objects.filter(unit=above).update(is_active=False)
    wrong = at_once(
        lambda: units.create_unit(province.admin, name="Trạm xá", kind=kind, parent=above),
        lambda: units.move_unit(province.admin, above.pk, None, province.units["so-y-te"]),
        lambda: units.deactivate_unit(province.admin, above.pk, None, "Sáp nhập"),
    )
    assert kinds(wrong) == [ValidationError]
    made, above = Unit.objects.get(name="Trạm xá"), Unit.objects.get(pk=above.pk)
    assert (made.path, above.is_active) == (f"{above.path}{made.pk}.", True)
    assert above.path.startswith(province.units["so-y-te"].path)


def test_nothing_is_given_to_a_unit_that_was_closed_meanwhile(province):
    unit = province.units["xa-mau"]
    User.objects.filter(unit=unit).update(is_active=False)
    _made, link = invitations.invite(province.admin, "moi@example.vn", "Mới", unit, Role.DUTY_OFFICER)
    units.deactivate_unit(province.admin, unit.pk, None, "Sáp nhập")
    assert unit.is_active  # as it was read before
    for work in (
        lambda: tasks.create_task(province.analyst, unit=unit, title="x", due_at=DUE),
        lambda: invitations.invite(province.admin, "b@example.vn", "B", unit, Role.DUTY_OFFICER),
        lambda: invitations.accept(link.rstrip("/").rpartition("/")[2], "correct horse battery"),
        lambda: people.change_person(province.admin, province.health.pk, 1, {"unit": unit}),
        lambda: systems.create_system(province.admin, name="Thư", unit=unit, level=2),
    ):
        with pytest.raises(ValidationError):
            work()
    second = User.objects.create_user("two@example.vn", name="Hai", unit=province.units["so-y-te"], role="duty_officer")
    people.deactivate(province.admin, province.health.pk, 1)
    task = tasks.create_task(province.analyst, unit=province.units["so-y-te"], title="x", due_at=DUE)
    with pytest.raises(ValidationError):
        handling.assign(second, task.pk, 1, province.health)


def test_nobody_gets_more_webhooks_than_allowed(province, monkeypatch):
    monkeypatch.setattr(webhooks, "MOST_HOOKS", 1)
    monkeypatch.setattr(webhooks, "check_address", lambda url: time.sleep(0.5))
    given = {"name": "a", "url": "https://example.vn/", "events": ["task.*"]}
    wrong = at_once(*(lambda: webhooks.add_webhook(province.analyst, **given) for _ in range(2)))
    assert kinds(wrong) == [ValidationError]
    assert Webhook.objects.count() == 1
