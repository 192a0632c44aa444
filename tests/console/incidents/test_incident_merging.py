"""Merging, splitting and relating: everything moves, nothing is lost, all can be traced."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from khien.console.accounts.access import Forbidden
from khien.console.audit.models import Entry
from khien.console.concurrency import Changed
from khien.console.directives.models import StepKind, Task
from khien.console.incidents import merging, playbook_tasks
from khien.console.incidents.evidence import add_evidence
from khien.console.incidents.models import Incident, IncidentStatus
from khien.console.incidents.services import set_status
from khien.console.incidents.timeline import write_entry

pytestmark = pytest.mark.django_db


def test_all_of_one_moves_to_the_other_which_is_as_strict_as_the_stricter(province, opened, an_alert, a_system):
    alert, system = an_alert(), a_system("his", "benh-vien")
    early = timezone.now().replace(second=0, microsecond=0) - timedelta(hours=9)
    source = opened(
        level=4,
        alerts=[alert],
        systems=[system],
        serious=True,
        detected_at=early,
        team=[province.health],
        indicators=[("ip", "203.0.113.9"), ("domain", "a.example.com")],
    )
    target = opened(unit="benh-vien", level=2, indicators=[("ip", "203.0.113.9")])
    note = write_entry(province.analyst, source.pk, kind="note", text="Ghi ở nguồn")
    task = playbook_tasks.add_task(
        province.analyst,
        source.pk,
        unit=province.units["so-y-te"],
        title="Việc",
        due_at=timezone.now() + timedelta(days=1),
    )
    merging.merge(province.analyst, source.pk, source.version, target.pk)
    for row in (source, target, alert, note):
        row.refresh_from_db()
    assert (source.status, source.merged_into, source.next_due_at) == (IncidentStatus.MERGED, target, None)
    assert alert.incident == target
    assert (note.incident, note.data["moved_from"]) == (target, source.number)
    moved = Task.objects.get(pk=task.pk)
    assert (moved.incident, moved.version) == (target, task.version + 1)
    assert moved.steps.last().kind == StepKind.MOVED
    assert Entry.objects.of_target(moved).filter(action="task.move").exists()
    assert {each.value for each in target.indicators.all()} == {"203.0.113.9", "a.example.com"}
    assert (target.level, target.serious, target.detected_at) == (4, True, early)
    assert set(target.units.all()) == {province.units["so-y-te"]}
    assert list(target.systems.all()) == [system]
    assert province.health in target.team.all()
    assert target.next_due_at == early + timedelta(hours=24)
    assert {clock.state for clock in source.clocks.all()} == {"withdrawn"}
    entry = Entry.objects.get(action="incident.merge")
    assert (entry.after["into"], entry.after["alerts"], entry.after["tasks"]) == (target.number, [alert.pk], [task.pk])


def test_a_merge_is_refused_when_it_makes_no_sense(province, opened):
    source, target = opened(), opened()
    with pytest.raises(ValidationError):
        merging.merge(province.analyst, source.pk, 1, source.pk)
    with pytest.raises(Forbidden):
        merging.merge(province.health, source.pk, 1, target.pk)
    with pytest.raises(Incident.DoesNotExist):
        merging.merge(province.analyst, source.pk, 1, 10_000)
    set_status(province.analyst, source.pk, 1, "contained")
    with pytest.raises(Changed):
        merging.merge(province.analyst, source.pk, 1, target.pk)
    merging.merge(province.analyst, source.pk, 2, target.pk)
    with pytest.raises(ValidationError):
        merging.merge(province.analyst, target.pk, 2, source.pk)
    with pytest.raises(ValidationError):
        write_entry(province.analyst, source.pk, kind="note", text="x")


def test_numbers_go_on_after_a_merge(province, opened):
    source, target = opened(), opened()
    merging.merge(province.analyst, source.pk, 1, target.pk)
    assert opened().number.endswith("-0003")


def test_what_is_chosen_splits_off(province, opened, an_alert):
    stays, goes = an_alert(title="Ở lại"), an_alert(title="Đi")
    source = opened(alerts=[stays, goes], indicators=[("ip", "203.0.113.9")], tlp="GREEN", leader=province.analyst2)
    note = write_entry(province.analyst, source.pk, kind="note", text="Đi cùng")
    state = source.entries.filter(kind="state").first()
    new = merging.split(
        province.analyst,
        source.pk,
        source.version,
        title="Vụ riêng",
        alerts=[goes.pk],
        entries=[note.pk, state.pk],
        indicators=[source.indicators.get().pk],
    )
    for row in (stays, goes, note, state):
        row.refresh_from_db()
    assert (stays.incident, goes.incident, note.incident, state.incident) == (source, new, new, source)
    assert new.indicators.count() == 1
    assert (new.split_from, new.tlp, new.leader, new.detected_at) == (
        source,
        "GREEN",
        province.analyst2,
        goes.first_at.replace(second=0, microsecond=0),
    )
    assert list(source.related.all()) == [new]
    assert Entry.objects.get(action="incident.split").after["alerts"] == [goes.pk]


def test_a_split_needs_something_and_takes_nothing_of_others(province, opened, an_alert):
    other = an_alert()
    source = opened()
    opened(alerts=[other])
    with pytest.raises(ValidationError):
        merging.split(province.analyst, source.pk, 1, title="Trống", alerts=[other.pk])
    assert Incident.objects.count() == 2


def test_incidents_are_related_both_ways_and_no_longer(province, opened):
    one, two = opened(), opened()
    merging.relate(province.health, one.pk, two.pk)
    assert list(two.related.all()) == [one]
    merging.relate(province.health, two.pk, one.pk, related=False)
    assert not one.related.exists()
    assert [entry.about_id for entry in one.entries.filter(about__isnull=False)] == [two.pk, two.pk]


def test_evidence_moves_with_its_chain_of_custody(province, opened, settings, tmp_path):
    settings.DATA = tmp_path
    source, target = opened(), opened()
    add_evidence(
        province.analyst,
        source.pk,
        [SimpleUploadedFile("nhat-ky.txt", b"log")],
        description="Nhật ký",
        collected_at=timezone.now(),
        collected_where="Máy chủ",
        collected_by="An",
    )
    merging.merge(province.analyst, source.pk, source.version, target.pk)
    evidence = target.evidence.get()
    assert [step.kind for step in evidence.custody.all()] == ["uploaded", "moved"]
    assert not source.evidence.exists()
