"""Reminders before tasks are due and escalation after, each exactly once."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured

from khien.console.chores import all_chores
from khien.console.directives import checking, handling, reminders
from khien.console.directives.models import Task, TaskReminder
from khien.console.directives.tasks import create_task
from khien.console.incidents.services import open_incident
from khien.console.notifications.models import Notice

pytestmark = pytest.mark.django_db
DUE = datetime(2027, 3, 10, 3, tzinfo=UTC)  # 10:00 where the console is
DAY = timedelta(days=1)


@pytest.fixture
def task(province):
    made = create_task(province.analyst, unit=province.units["so-y-te"], title="Rà soát", due_at=DUE)
    Task.objects.filter(pk=made.pk).update(created_at=DUE - 10 * DAY)
    Notice.objects.all().delete()
    return made


def sent_at(now):
    Notice.objects.all().delete()
    reminders.remind(now)
    return sorted((notice.kind, notice.user.email.partition("@")[0]) for notice in Notice.objects.all())


def test_each_reminder_goes_to_its_people_once(province, task):
    told = {}
    for hours in range(-100, 120, 2):
        for _twice in range(2):
            told.setdefault(hours, []).extend(sent_at(DUE + timedelta(hours=hours)))
    assert {hours: rows for hours, rows in told.items() if rows} == {
        -72: [("task.due_soon", "health")],
        -24: [("task.due_soon", "health")],
        -10: [("task.due_soon", "health")],
        0: [("task.overdue", "health")],
        24: [("task.overdue", "analyst"), ("task.overdue", "analyst2")],
        72: [("task.overdue", "chair")],
    }


def test_after_a_stop_each_audience_is_told_once_of_the_latest(province, task):
    assert sent_at(DUE + 4 * DAY) == [
        ("task.overdue", "analyst"),
        ("task.overdue", "analyst2"),
        ("task.overdue", "chair"),
        ("task.overdue", "health"),
    ]
    assert sent_at(DUE + 5 * DAY) == []


def test_a_task_given_late_is_not_reminded_of_times_before_it(province, task):
    Task.objects.filter(pk=task.pk).update(created_at=DUE - timedelta(hours=30))
    assert sent_at(DUE - timedelta(hours=29)) == []
    assert len(sent_at(DUE - timedelta(hours=23))) == 1


def test_what_is_finished_done_or_cancelled_is_not_reminded_of(province, task):
    handling.accept(province.health, task.pk, 1)
    handling.finish(province.health, task.pk, 2, text="Xong")
    assert {kind for kind, _who in sent_at(DUE + DAY)} == {"task.unchecked"}
    checking.send_back(province.analyst, task.pk, 3, reason="Thiếu")
    assert len(sent_at(DUE + DAY)) == 3
    checking.cancel(province.analyst, task.pk, 4, reason="Thôi")
    assert sent_at(DUE + 4 * DAY) == []


def test_what_waits_for_a_check_is_told_to_who_checks_then_above(province, task):
    handling.accept(province.health, task.pk, 1)
    handling.finish(province.health, task.pk, 2, text="Xong")
    finished = Task.objects.get(pk=task.pk).finished_at
    assert sent_at(finished + 1.9 * DAY) == []
    office = [("task.unchecked", "analyst"), ("task.unchecked", "analyst2")]
    assert sent_at(finished + 2 * DAY) == office
    assert sent_at(finished + 3 * DAY) == []
    assert sent_at(finished + 4 * DAY) == office
    assert sent_at(finished + 7 * DAY) == [("task.unchecked", "chair")]
    checking.send_back(province.analyst, task.pk, 3, reason="Thiếu")
    assert sent_at(finished + 8 * DAY) == []
    handling.finish(province.health, task.pk, 4, text="Xong")
    again = Task.objects.get(pk=task.pk).finished_at
    assert sent_at(again + 3 * DAY) == office
    checking.confirm(province.analyst, task.pk, 5)
    assert sent_at(again + 9 * DAY) == []


def test_the_leader_of_an_incident_checks_and_nobody_is_reminded_to_check_their_own(province):
    incident = open_incident(
        province.analyst, title="Sự cố", level=2, unit=province.units["so-y-te"], leader=province.analyst2
    )
    led = create_task(province.analyst, unit=province.units["so-y-te"], title="a", due_at=DUE, incident=incident)
    own = create_task(province.analyst, unit=province.units["thuong-truc"], title="b", due_at=DUE)
    for each, who in ((led, province.health), (own, province.analyst)):
        handling.accept(who, each.pk, 1)
        handling.finish(who, each.pk, 2, text="Xong")
    Notice.objects.all().delete()
    reminders.remind(Task.objects.get(pk=own.pk).finished_at + 2 * DAY)
    told = [(each.params["task"], each.user) for each in Notice.objects.filter(kind="task.unchecked")]
    assert sorted(told, key=str) == [("a", province.analyst2), ("b", province.analyst2)]


def test_a_new_due_time_is_reminded_of_anew(province, task):
    sent_at(DUE - DAY)
    handling.ask_more_time(province.health, task.pk, 1, until=DUE + 10 * DAY, reason="Chờ")
    checking.grant(province.analyst, task.pk, 2)
    assert sent_at(DUE + DAY) == []
    assert len(sent_at(DUE + 9 * DAY)) == 1
    assert TaskReminder.objects.values("due_at").distinct().count() == 2


def test_the_person_it_was_handed_to_is_reminded_too(province, task):
    handling.assign(province.health, task.pk, 1, province.hospital)
    assert [who for _kind, who in sent_at(DUE - DAY)] == ["health", "hospital"]


def test_a_unit_without_people_is_answered_for_by_the_unit_above(province):
    province.hospital.is_active = False
    province.hospital.save()
    made = create_task(province.analyst, unit=province.units["benh-vien"], title="x", due_at=DUE)
    Task.objects.filter(pk=made.pk).update(created_at=DUE - 10 * DAY)
    assert [who for _kind, who in sent_at(DUE - DAY)] == ["health"]


def test_rules_are_data_and_wrong_ones_are_told(tmp_path, settings):
    settings.DATA = tmp_path
    assert next(rule.code for rule in reminders.rules()) == "three-days-before"
    own = tmp_path / "reminders.yaml"
    own.write_text("- {code: week, days: -7, from: due, to: unit}\n")
    assert [rule.offset for rule in reminders.rules()] == [-7 * DAY]
    for wrong in (
        "- {code: a, days: 1, to: mayor}",
        "- {days: 1, to: unit}",
        "{",
        "- {code: a, days: x, to: unit}",
        "- {code: a, days: 1, to: checker}",
    ):
        own.write_text(wrong)
        with pytest.raises(ImproperlyConfigured, match=r"reminders\.yaml"):
            reminders.rules()


def test_the_reminders_of_many_tasks_take_few_queries_when_nothing_is_to_be_sent(
    province, django_assert_max_num_queries
):
    for n in range(30):
        create_task(province.analyst, unit=province.units["xa-mau"], title=str(n), due_at=DUE)
    reminders.remind(DUE + 4 * DAY)
    with django_assert_max_num_queries(3):
        assert reminders.remind(DUE + 4 * DAY) == 0


def test_the_worker_sends_them():
    assert "task-reminders" in [chore.name for chore in all_chores()]
