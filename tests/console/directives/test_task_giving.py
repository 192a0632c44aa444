"""Giving tasks to units."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from khien.console.accounts.access import Forbidden
from khien.console.audit.models import Entry
from khien.console.directives.models import Task, TaskState
from khien.console.directives.selectors import tasks_of_incident
from khien.console.directives.tasks import create_task
from khien.console.incidents.models import Incident, Tlp
from khien.console.notifications.models import Notice

pytestmark = pytest.mark.django_db
DUE = datetime(2027, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def incident(province):
    return Incident.objects.create(
        number="SC-2026-0001",
        title="Mã độc",
        unit=province.units["so-y-te"],
        leader=province.analyst,
        detected_at=timezone.now(),
    )


def test_a_unit_gets_a_task_and_its_people_are_told(province):
    task = create_task(province.analyst, unit=province.units["so-y-te"], title=" Rà soát ", due_at=DUE)
    assert (task.title, task.state) == ("Rà soát", TaskState.SENT)
    assert list(task.steps.values_list("kind", flat=True)) == ["created"]
    assert Entry.objects.get(action="task.create").target_id == str(task.pk)
    assert {notice.user for notice in Notice.objects.all()} == {province.health}


def test_only_who_may_gives_tasks(province):
    with pytest.raises(Forbidden):
        create_task(province.commune, unit=province.units["xa-mau"], title="x", due_at=DUE)


def test_one_gives_tasks_only_to_units_one_sees_or_that_the_incident_affects(province, incident):
    commune = province.units["xa-mau"]
    with pytest.raises(ValidationError):
        create_task(province.health, unit=commune, title="x", due_at=DUE, incident=incident)
    incident.units.add(commune)
    assert create_task(province.health, unit=commune, title="x", due_at=DUE, incident=incident).unit == commune


@pytest.mark.parametrize("status", ["closed", "merged"])
def test_an_incident_on_which_no_work_goes_on_gets_no_task(province, incident, status):
    Incident.objects.update(status=status)
    with pytest.raises(ValidationError):
        create_task(province.analyst, unit=incident.unit, title="x", due_at=DUE, incident=incident)


def test_a_task_goes_only_to_a_person_of_its_unit_or_below(province):
    health = province.units["so-y-te"]
    with pytest.raises(ValidationError):
        create_task(province.analyst, unit=health, title="x", due_at=DUE, assignee=province.commune)
    task = create_task(province.analyst, unit=health, title="x", due_at=DUE, assignee=province.hospital)
    assert Task.objects.visible_to(province.hospital).get() == task


def test_a_unit_sees_its_own_tasks_and_those_below(province):
    for code in ("so-y-te", "benh-vien", "xa-mau"):
        create_task(province.analyst, unit=province.units[code], title=code, due_at=DUE)
    seen = {
        who: set(Task.objects.visible_to(province.people[who]).values_list("title", flat=True))
        for who in ("health", "hospital", "commune", "press", "chair")
    }
    assert seen == {
        "health": {"so-y-te", "benh-vien"},
        "hospital": {"benh-vien"},
        "commune": {"xa-mau"},
        "press": set(),
        "chair": {"so-y-te", "benh-vien", "xa-mau"},
    }


def test_the_tasks_of_an_incident_are_listed_those_due_first_on_top(province, incident):
    for days in (3, 1, 2):
        create_task(
            province.analyst,
            unit=province.units["so-y-te"],
            title=str(days),
            due_at=DUE + timedelta(days=days),
            incident=incident,
        )
    assert [task.title for task in tasks_of_incident(province.analyst, incident)] == ["1", "2", "3"]
    assert not tasks_of_incident(province.commune, incident)


def test_tasks_of_an_incident_kept_to_those_named_are_seen_by_them_and_the_unit_that_has_the_task(province, incident):
    task = create_task(province.analyst, unit=province.units["benh-vien"], title="kín", due_at=DUE, incident=incident)
    Incident.objects.filter(pk=incident.pk).update(tlp=Tlp.RED)
    seen = [who for who, user in province.people.items() if Task.objects.visible_to(user).filter(pk=task.pk).exists()]
    assert {"analyst", "hospital"} <= set(seen)
    assert "commune" not in seen


def test_mails_do_not_carry_the_title_of_a_task_of_a_sensitive_incident(province, incident):
    give = {"unit": province.units["so-y-te"], "due_at": DUE, "incident": incident}
    create_task(province.analyst, title="thường", **give)
    incident.tlp = Tlp.RED
    incident.save()
    create_task(province.analyst, title="kín", **give)
    assert {notice.params["task"]: notice.sensitive for notice in Notice.objects.all()} == {
        "thường": [],
        "kín": ["task"],
    }


def test_who_works_on_an_incident_sees_its_tasks_of_other_units(province, incident):
    task = create_task(province.analyst, unit=province.units["so-y-te"], title="x", due_at=DUE, incident=incident)
    assert not Task.objects.visible_to(province.telecom).exists()
    incident.team.add(province.telecom)
    assert Task.objects.visible_to(province.telecom).get() == task
