"""The way of a task: sent, accepted, reported, finished, checked or sent back."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from khien.console.audit.models import Entry
from khien.console.concurrency import Changed
from khien.console.directives import checking, handling
from khien.console.directives.models import Task, TaskState
from khien.console.directives.rights import NotYours, checkable, checks, handled, handles
from khien.console.directives.tasks import create_task
from khien.console.incidents.models import Incident
from khien.console.notifications.models import Notice

pytestmark = pytest.mark.django_db


@pytest.fixture
def task(province):
    return create_task(
        province.analyst,
        unit=province.units["so-y-te"],
        title="Rà soát tài khoản",
        due_at=timezone.now() + timedelta(days=5),
    )


@pytest.fixture
def incident(province):
    return Incident.objects.create(
        number="SC-2026-0001",
        title="Mã độc",
        unit=province.units["so-y-te"],
        leader=province.analyst2,
        detected_at=timezone.now(),
    )


def told(kind):
    return {notice.user.email.partition("@")[0] for notice in Notice.objects.filter(kind=kind)}


def test_a_task_goes_from_sent_to_done(province, task):
    by = province.health
    handling.accept(by, task.pk, 1)
    handling.report(by, task.pk, 2, text="Được một nửa", percent=50)
    handling.finish(by, task.pk, 3, text="Xong", files=[SimpleUploadedFile("kết quả.txt", b"ok")])
    checking.confirm(province.analyst, task.pk, 4, text="Đạt")
    task.refresh_from_db()
    assert (task.state, task.progress, task.version) == (TaskState.DONE, 100, 5)
    assert [step.kind for step in task.steps.all()] == ["created", "accepted", "progress", "finished", "done"]
    assert [file.stored.name for step in task.steps.all() for file in step.files.all()] == ["kết quả.txt"]
    assert Entry.objects.filter(action__startswith="task.").count() == 5
    assert told("task.finished") == {"analyst", "analyst2"}
    assert told("task.done") == {"health"}


@pytest.mark.parametrize(
    "wrong", [{"files": ["a", ""]}, {"version": 1}, {"by": "commune"}, {"text": " "}, {"files": ["a"] * 21}]
)
def test_nothing_of_a_refused_report_s_files_stays_on_the_disk(province, task, settings, tmp_path, wrong):
    settings.DATA = tmp_path
    handling.accept(province.health, task.pk, 1)
    told = {"text": "Xong", "files": ["a"], "version": 2, "by": "health", **wrong}
    files = [SimpleUploadedFile(f"{place}.txt", body.encode()) for place, body in enumerate(told["files"])]
    by = getattr(province, told["by"])
    refusals = (ValidationError, Changed, Task.DoesNotExist)
    with pytest.raises(refusals):
        handling.report(by, task.pk, told["version"], text=told["text"], percent=50, files=files)
    with pytest.raises(refusals):
        handling.finish(by, task.pk, told["version"], text=told["text"], files=files)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_is_sent_back_has_its_last_progress_and_may_be_overdue_at_once(province, task):
    by = province.health
    handling.accept(by, task.pk, 1)
    handling.report(by, task.pk, 2, text="Một phần", percent=40)
    handling.finish(by, task.pk, 3, text="Xong")
    Task.objects.filter(pk=task.pk).update(due_at=timezone.now() - timedelta(hours=1))
    checking.send_back(province.chair, task.pk, 4, reason="Thiếu danh sách")
    task.refresh_from_db()
    assert (task.state, task.progress, task.sent_back, task.overdue) == (TaskState.ACCEPTED, 40, True, True)
    assert task.steps.last().text == "Thiếu danh sách"
    assert told("task.sent_back") == {"health"}


def test_steps_are_possible_only_in_their_state(province, task):
    with pytest.raises(ValidationError):
        handling.finish(province.health, task.pk, 1, text="Xong")
    with pytest.raises(ValidationError):
        checking.confirm(province.analyst, task.pk, 1)
    handling.accept(province.health, task.pk, 1)
    with pytest.raises(ValidationError):
        handling.accept(province.health, task.pk, 2)


def test_the_second_of_two_is_told(province, task):
    handling.accept(province.health, task.pk, 1)
    with pytest.raises(Changed):
        handling.assign(province.health, task.pk, 1, province.health)


def test_a_foreign_unit_finds_no_task_and_an_overseer_does_not_do_the_units_work(province, task):
    with pytest.raises(Task.DoesNotExist):
        handling.accept(province.commune, task.pk, 1)
    with pytest.raises(NotYours):
        handling.accept(province.analyst, task.pk, 1)
    handling.accept(province.health, task.pk, 1)
    handling.finish(province.health, task.pk, 2, text="Xong")
    for who in (province.health, province.admin, province.auditor):
        with pytest.raises(NotYours):
            checking.confirm(who, task.pk, 3)


def test_nobody_checks_what_they_finished_themselves(province):
    task = create_task(
        province.chair, unit=province.units["thuong-truc"], title="x", due_at=timezone.now() + timedelta(days=1)
    )
    handling.accept(province.analyst, task.pk, 1)
    handling.finish(province.analyst, task.pk, 2, text="Xong")
    with pytest.raises(NotYours):
        checking.confirm(province.analyst, task.pk, 3)
    assert checking.confirm(province.analyst2, task.pk, 3).state == TaskState.DONE


def test_the_leader_of_an_incident_checks_its_tasks(province, incident):
    task = create_task(
        province.analyst,
        unit=province.units["so-y-te"],
        title="Cô lập máy",
        due_at=timezone.now() + timedelta(days=1),
        incident=incident,
    )
    handling.accept(province.health, task.pk, 1)
    handling.finish(province.health, task.pk, 2, text="Đã cô lập")
    assert told("task.finished") == {"analyst2"}
    with pytest.raises(NotYours):
        checking.confirm(province.analyst, task.pk, 3)
    checking.confirm(province.analyst2, task.pk, 3)


def test_more_time_is_asked_for_and_granted_or_refused(province, task):
    until = task.due_at + timedelta(days=3)
    with pytest.raises(ValidationError):
        handling.ask_more_time(province.health, task.pk, 1, until=task.due_at, reason="x")
    handling.ask_more_time(province.health, task.pk, 1, until=until, reason="Chờ thiết bị")
    assert told("task.more_time") == {"analyst", "analyst2"}
    checking.refuse(province.analyst, task.pk, 2, reason="Không")
    handling.ask_more_time(province.health, task.pk, 3, until=until, reason="Vẫn chờ")
    checking.grant(province.analyst, task.pk, 4)
    task.refresh_from_db()
    assert (task.due_at, task.wanted_due_at) == (until, None)
    assert [step.kind for step in task.steps.all()] == ["created", "more_time", "refused", "more_time", "granted"]


def test_a_task_is_handed_to_a_person_of_the_unit_or_below_and_taken_back(province, task):
    with pytest.raises(ValidationError):
        handling.assign(province.health, task.pk, 1, province.commune)
    handling.assign(province.health, task.pk, 1, province.hospital)
    assert told("task.assigned") == {"hospital"}
    assert Task.objects.visible_to(province.hospital).get().state == TaskState.ACCEPTED
    handling.take_back(province.health, task.pk, 2)
    task.refresh_from_db()
    assert (task.state, task.assignee, task.accepted_at) == (TaskState.SENT, None, None)


def test_only_ones_own_last_step_is_taken_back_and_only_for_a_while(province, task):
    handling.accept(province.health, task.pk, 1)
    handling.finish(province.health, task.pk, 2, text="Xong")
    with pytest.raises(ValidationError):
        handling.take_back(province.analyst, task.pk, 3)
    handling.take_back(province.health, task.pk, 3)
    task.refresh_from_db()
    assert (task.state, task.progress, task.finished_at, task.finished_by) == (TaskState.ACCEPTED, 0, None, None)
    handling.finish(province.health, task.pk, 4, text="Xong")
    task.steps.update(at=timezone.now() - timedelta(minutes=11))
    with pytest.raises(ValidationError):
        handling.take_back(province.health, task.pk, 5)


def test_a_check_can_be_taken_back_by_who_checked(province, task):
    handling.accept(province.health, task.pk, 1)
    handling.finish(province.health, task.pk, 2, text="Xong")
    checking.confirm(province.analyst, task.pk, 3)
    handling.take_back(province.analyst, task.pk, 4)
    task.refresh_from_db()
    assert (task.state, task.closed_at) == (TaskState.FINISHED, None)


def test_many_are_accepted_and_handed_on_at_once_save_those_of_others(province):
    due = timezone.now() + timedelta(days=2)
    tasks = [
        create_task(province.analyst, unit=province.units[code], title=code, due_at=due)
        for code in ("so-y-te", "benh-vien", "xa-mau")
    ]
    pks = [task.pk for task in tasks]
    assert handling.accept_many(province.health, pks) == 2
    assert handling.accept_many(province.analyst, pks) == 0
    with pytest.raises(ValidationError):
        handling.assign_many(province.health, pks, province.health)  # not of the hospital: none is handed on
    assert not Task.objects.exclude(assignee=None).exists()
    assert handling.assign_many(province.health, pks, province.hospital) == 2


def test_a_task_is_cancelled_with_its_reason(province, task):
    with pytest.raises(ValidationError):
        checking.cancel(province.analyst, task.pk, 1, reason=" ")
    checking.cancel(province.analyst, task.pk, 1, reason="Trùng")
    assert told("task.cancelled") == {"health"}
    with pytest.raises(ValidationError):
        handling.accept(province.health, task.pk, 2)


def test_the_due_time_of_a_task_without_directive_is_changed_by_who_checks(province, task):
    due = task.due_at + timedelta(days=1)
    assert checking.change_due(province.analyst, task.pk, 1, due_at=due, reason="Lễ").due_at == due


def test_conditions_of_queries_agree_with_the_rules_for_one_task(province, incident):
    due = timezone.now() + timedelta(days=1)
    for unit in province.units.values():
        create_task(province.analyst, unit=unit, title=unit.code, due_at=due)
    incident.units.add(province.units["xa-mau"])
    create_task(province.analyst, unit=province.units["xa-mau"], title="sự cố", due_at=due, incident=incident)
    own = create_task(province.chair, unit=province.units["thuong-truc"], title="của ta", due_at=due)
    handling.accept(province.analyst, own.pk, 1)
    handling.finish(province.analyst, own.pk, 2, text="Xong")
    for user in province.people.values():
        seen = Task.objects.visible_to(user).select_related("incident")
        assert set(seen.filter(checkable(user))) == {task for task in seen if checks(user, task)}, user
        assert set(seen.filter(handled(user))) == {task for task in seen if handles(user, task)}, user


def test_of_many_tasks_those_that_somebody_else_was_faster_with_are_passed_over(province, monkeypatch):
    due = timezone.now() + timedelta(days=1)
    made = [
        create_task(province.analyst, unit=province.units["so-y-te"], title=f"Việc {n}", due_at=due) for n in range(3)
    ]
    chosen = handling._chosen(province.health, [each.pk for each in made], [TaskState.SENT])
    monkeypatch.setattr(handling, "_chosen", lambda *_: chosen)
    handling.accept(province.health, made[1].pk, None)
    assert handling.accept_many(province.health, [each.pk for each in made]) == 2
