"""Lists are searched marks and case aside, alike on every database, and without reading all rows into Python."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from console_province import Province
from khien.console.accounts import people
from khien.console.accounts.models import User
from khien.console.accounts.roles import Role
from khien.console.accounts.selectors import matching as people_matching
from khien.console.accounts.selectors import people_choices, search_people
from khien.console.alerts.criteria import criteria
from khien.console.alerts.exceptions import matching as exceptions_matching
from khien.console.alerts.language import FilterError, read
from khien.console.alerts.models import RuleException, SeenRule
from khien.console.directives import issuing, sessions
from khien.console.directives.models import Directive, Session, Task
from khien.console.directives.selectors import search_directives, search_tasks
from khien.console.directives.tasks import create_task
from khien.console.incidents.models import Incident
from khien.console.incidents.selectors import search_incidents
from khien.console.incidents.services import open_incident
from khien.console.systems.models import InformationSystem
from khien.console.systems.selectors import search_systems
from khien.console.systems.services import create_system
from khien.console.units.folding import FoldedField, filler
from khien.console.units.models import Unit
from khien.console.units.selectors import search_units, tree
from khien.console.units.services import create_unit

pytestmark = pytest.mark.django_db
NAME = "Họp ĐỘT XUẤT về Sự cố"
ASKED = ("hop", "SU CO", "đột xuất", "su  co hop", "Sự cố", "sự cố", "DOT")
NOT = ("hopp", "su co 7", "sư phạm")


@pytest.fixture
def made(province: Province) -> Province:
    unit = province.units["so-y-te"]
    due = timezone.now() + timedelta(days=9)
    create_task(province.analyst, unit=unit, title=NAME, due_at=due)
    issuing.draft(province.chair, title="x", text=f"Ra soát. {NAME}", due_at=due, units={unit: None})
    sessions.plan(province.analyst, title=NAME, starts_at=due)
    open_incident(province.analyst, title=NAME, level=2, unit=unit)
    create_system(province.admin, name=NAME, unit=unit, level=2)
    create_unit(province.admin, code="don-vi", name=NAME, kind=unit.kind, parent=unit)
    SeenRule.objects.create(rule_id="r-1", title=NAME, level=1)
    RuleException.objects.create(rule_id="r-1", title=NAME, text="", reason="x", owner=province.analyst, expires_at=due)
    User.objects.create_user("hx@example.vn", name=NAME, unit=unit, role=Role.DUTY_OFFICER)
    return province


LISTS: dict[str, Callable[[Any, Any, str], Any]] = {
    "task list": lambda made, client, text: client.get("/tasks/", {"q": text}).context["page"].object_list,
    "tasks": lambda made, client, text: search_tasks(made.analyst, text),
    "directives": lambda made, client, text: search_directives(made.analyst, text),
    "directive list": lambda made, client, text: client.get("/directives/", {"q": text}).context["page"].object_list,
    "session list": lambda made, client, text: client.get("/sessions/", {"q": text}).context["page"].object_list,
    "incidents": lambda made, client, text: search_incidents(made.analyst, text),
    "systems": lambda made, client, text: search_systems(made.analyst, text),
    "units": lambda made, client, text: search_units(made.analyst, text),
    "tree": lambda made, client, text: [each for each in tree(made.analyst, text=text) if each.matches],
    "exceptions": lambda made, client, text: exceptions_matching(made.analyst, "", text),
    "people": lambda made, client, text: search_people(made.admin, text),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_searched_without_marks_and_case(made, signed_in, name):
    client = signed_in(made.analyst)
    for text in ASKED:
        assert len(LISTS[name](made, client, text)) == 1, text
    for text in NOT:
        assert len(LISTS[name](made, client, text)) == 0, text


def test_people_and_systems_are_found_by_their_unit_and_signs_by_small_letters(made):
    assert search_systems(made.analyst, "so y te su co")
    assert {each.name for each in people_matching(people_choices(made.admin), "SO Y TE")} == {NAME, made.health.name}
    directive = Directive.objects.get()
    issuing.issue(made.chair, directive.pk, None)
    assert list(search_directives(made.analyst, "1/cd-")) == [directive]
    assert not search_directives(made.analyst, "1/qd")


def test_rules_are_found_by_a_part_of_their_title_as_lists_are(made):
    def rules(text: str) -> set[str]:
        return set(criteria(read(f'rule:"{text}"'), made.analyst).among["rule_id"])

    for text in ("HOP", "đột xuất", "dot xuat", "ve su co", "Sự cố"):
        assert rules(text) == {text, "r-1"}
    assert rules("su co hop") == {"su co hop"}


def test_units_systems_and_people_are_called_by_their_whole_name_in_the_filter_of_alerts(made):
    unit, system = Unit.objects.get(code="don-vi"), InformationSystem.objects.get()
    for text in (NAME, NAME.upper(), "hop dot xuat ve su co"):
        assert criteria(read(f'unit:"{text}"'), made.analyst).among == {"unit_id": {unit.pk}}
        assert criteria(read(f'system:"{text}"'), made.analyst).among == {"system_id": {system.pk}}
        assert criteria(read(f'owner:"{text}"'), made.analyst).among == {"owner_id": {User.objects.get(name=NAME).pk}}
        with pytest.raises(FilterError):
            criteria(read(f'unit:"{text[:-1]}"'), made.analyst)


def test_what_is_changed_is_found_by_its_new_text_only(made):
    people.change_person(made.admin, made.health.pk, 1, {"name": "Đặng Thị Ẩn"})
    assert search_people(made.admin, "dang thi an") == [made.health]
    assert not search_people(made.admin, "nguoi health")


def test_rows_of_before_are_filled_in(made):
    models = {"units": ["unit"], "accounts": ["user"], "systems": ["informationsystem"], "incidents": ["incident"]}
    models |= {"directives": ["directive", "session", "task"], "alerts": ["seenrule", "ruleexception"]}
    kinds = [Unit, User, InformationSystem, Incident, Directive, Session, Task, SeenRule, RuleException]
    assert {model for model in apps.get_models() if any(isinstance(f, FoldedField) for f in model._meta.fields)} == set(
        kinds
    )
    before = {kind: dict(kind.objects.values_list("pk", "folded")) for kind in kinds}
    for kind in kinds:
        kind.objects.update(folded="")
    editor = SimpleNamespace(connection=connection)  # a true one cannot be had within a test's transaction
    for app, names in models.items():
        filler(app, *names)(apps, editor)
    assert {kind: dict(kind.objects.values_list("pk", "folded")) for kind in kinds} == before
