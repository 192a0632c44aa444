"""Catalogues: valid as packaged, replaceable, and refused with the reason when broken."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import override

from khien.console.directives.models import Task
from khien.console.incidents import catalogue, playbook_tasks
from khien.console.units.models import UnitKind

TODAY = date(2026, 11, 24)


def test_every_class_has_its_rsit_types_and_every_type_a_class():
    types = {code for code, _label in catalogue.classes()}
    claimed = [code for each in catalogue.working_classes() for code in each.rsit]
    assert set(claimed) == types
    assert {each.code for each in catalogue.working_classes()} == {
        "malware", "intrusion", "denial_of_service", "leak", "defacement", "phishing", "supplier", "insider", "other",
    }  # fmt: skip


def test_labels_are_in_the_readers_language():
    label = dict(catalogue.classes())["ddos"]
    with override("vi"):
        assert str(label) == "Tấn công từ chối dịch vụ phân tán"
    with override("en"):
        assert str(label) == "Distributed denial of service"


def test_every_class_has_a_playbook_of_its_own_before_the_one_for_all():
    for each in catalogue.working_classes():
        books = catalogue.playbooks(TODAY, each.code)
        assert books[0].classes == [each.code]
        assert books[-1].code == "first_steps"
        assert all(task.text_vi and task.text_en for book in books for task in book.tasks)


def test_rulesets_say_from_when_and_by_what_source():
    rulesets = catalogue.clock_rulesets(TODAY)
    assert [each.ruleset for each in rulesets] == ["decree-331-2026-art-31", "law-91-2025-personal-data"]
    assert all(each.source for each in rulesets)
    assert catalogue.clock_rulesets(date(2025, 12, 31)) == []


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("clocks.yml", "rulesets: [{ruleset: x}]", "effective_from"),
        ("clocks.yml", "rulesets: [", "clocks.yml"),
        (
            "classes_vi.yml",
            "ruleset: x\neffective_from: 2026-01-01\nsource: s\nclasses: [{code: other, vi: a, en: b, rsit: [nope]}]",
            "nope",
        ),
        ("rsit.yml", "ruleset: x\neffective_from: 2026-01-01\nsource: s\nclasses: []\nmore: 1", "more"),
        (
            "playbooks/own.yml",
            "ruleset: x\neffective_from: 2026-01-01\nsource: s\ncode: own\nvi: a\nen: b\ntasks: [{code: t, vi: a, en: b, due_hours: 1, to: nobody}]",
            "nobody",
        ),
    ],
)
def test_a_broken_file_is_told_of_and_the_packaged_one_counts(settings, tmp_path, name, text, why):
    (tmp_path / "playbooks").mkdir()
    (tmp_path / name).write_text(text, encoding="utf-8")
    settings.CATALOGUES = str(tmp_path)
    told = [each.msg for each in run_checks() if each.id == "incidents.W001"]
    assert len(told) == 1
    assert why in told[0]
    assert len(catalogue.clock_rulesets(TODAY)) == 2
    assert len(catalogue.working_classes()) == 9
    assert len(catalogue.playbooks(TODAY)) == 10


def test_a_changed_file_is_read_anew_without_a_restart(settings, tmp_path):
    settings.CATALOGUES = str(tmp_path)
    text = (
        "ruleset: x\neffective_from: 2026-01-01\nsource: s\nclasses: [{code: other, vi: Khác, en: %s, rsit: [other]}]"
    )
    import os

    for number, word in enumerate(("First", "Second")):
        path = tmp_path / "classes_vi.yml"
        path.write_text(text % word, encoding="utf-8")
        os.utime(path, ns=(number, number))
        with override("en"):
            assert [each.label for each in catalogue.working_classes()] == [word]


@pytest.mark.django_db
def test_a_playbook_gives_each_unit_its_tasks_again_and_singly(province, opened):
    UnitKind.objects.get(code="standing-office")
    incident = opened(units=[province.units["benh-vien"], province.units["so-y-te"]])
    now = timezone.now()
    with override("vi"):
        made = playbook_tasks.apply_playbook(province.analyst, incident.pk, "malware", now=now)
    assert len(made) == 11
    hunt = Task.objects.get(title="Săn tìm dấu hiệu trong toàn bộ nhật ký")
    assert (hunt.unit.code, hunt.due_at, hunt.incident) == ("thuong-truc", now + timedelta(hours=24), incident)
    assert playbook_tasks.apply_playbook(province.analyst, incident.pk, "malware", ["hunt"], now=now)
    assert Task.objects.count() == 12
    assert incident.entries.filter(kind="task").count() == 7
    with pytest.raises(ValidationError):
        playbook_tasks.apply_playbook(province.analyst, incident.pk, "malware", [])
    with pytest.raises(ValidationError):
        playbook_tasks.apply_playbook(province.analyst, incident.pk, "no-such-book")
