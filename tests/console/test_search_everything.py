"""The search over everything: what it finds, what it never tells, and that its time is bounded."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from khien.console.alerts.models import Alert, SeenRule
from khien.console.directives.models import Task
from khien.console.frame import search
from khien.console.incidents.models import Incident
from khien.console.systems.models import InformationSystem

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled(province):
    """The same word stands in a thing of each kind, of the department of health and of a commune."""
    now = timezone.now()
    for number, code in enumerate(("so-y-te", "xa-mau"), start=1):
        unit = province.units[code]
        InformationSystem.objects.create(code=f"khien-{code}", name=f"Hệ thống khiên {code}", unit=unit)
        Incident.objects.create(
            number=f"SC-2026-000{number}", title=f"khien incident {code}", unit=unit, detected_at=now
        )
        Task.objects.create(title=f"khien task {code}", unit=unit, due_at=now + timedelta(days=3))
        Alert.objects.create(
            key=f"k{number}", rule_id="r1", title="Rule khien", level=3, unit=unit, entity_kind="host",
            entity_value=f"khien-{code}", first_at=now, last_at=now,
        )  # fmt: skip
    SeenRule.objects.create(rule_id="r1", title="Luật phát hiện khiên", level=3)
    return province


def found(user, text: str) -> dict[str, list[str]]:
    groups, _late = search.search(user, text, 5)
    return {group.name: [f"{hit.title} {hit.meta}" for hit in group.hits] for group in groups}


def test_everything_that_fits_is_found_whole_province_for_those_who_oversee_it(filled):
    got = found(filled.analyst, "khien")
    assert {name: len(hits) for name, hits in got.items()} == {"systems": 2, "incidents": 2, "tasks": 2, "alerts": 2}
    assert found(filled.analyst, "so y te")["units"]
    assert found(filled.analyst, "phat hien")["alerts"]


def test_nothing_of_a_foreign_unit_is_found(filled):
    got = found(filled.health, "khien")
    assert {name: len(hits) for name, hits in got.items()} == {"systems": 1, "incidents": 1, "tasks": 1, "alerts": 1}
    assert "xa-mau" not in str(got)
    assert "units" not in found(filled.health, "xã mẫu")
    assert "people" not in found(filled.health, "mẫu commune")


def test_a_role_finds_only_the_kinds_that_it_may_open(filled):
    assert set(found(filled.auditor, "khien")) == {"tasks"}
    assert set(found(filled.press, "khien")) == set()
    assert found(filled.admin, "hospital")["people"]


def test_suggestions_are_a_part_of_a_page_and_results_a_page(filled, signed_in):
    client = signed_in(filled.analyst)
    part = client.get("/search/suggestions?q=khien").content.decode()
    assert "<html" not in part
    assert part.count('role="option"') == 9
    page = client.get("/search?q=khien").content.decode()
    assert "khien incident so-y-te" in page
    assert "/alerts/?q=khien" in page
    for text in ("", "k", "zzzzz", "%", "'\"", "<script>", "a" * 5000):
        assert client.get("/search", {"q": text}).status_code == 200
        assert "<script>" not in client.get("/search/suggestions", {"q": text}).content.decode()
    assert client.get("/search", {"q": "\x00"}).status_code == 400
    assert Client().get("/search?q=khien").status_code == 302
    assert Client().get("/search/suggestions?q=khien").status_code in (302, 401, 403)


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_box_is_on_every_page(filled, signed_in, language):
    page = signed_in(filled.press, language).get("/search").content.decode()
    assert "data-search" in page
    assert 'role="combobox"' in page


def test_what_is_hostile_is_escaped(filled, signed_in):
    hostile = Incident.objects.get(number="SC-2026-0001")
    hostile.title = "khien <img src=x onerror=alert(1)>"
    hostile.save()
    for address in ("/search", "/search/suggestions"):
        text = signed_in(filled.analyst).get(address, {"q": "khien"}).content.decode()
        assert "<img src=x" not in text
        assert "&lt;img" in text


def test_a_search_makes_a_bounded_number_of_queries(filled, django_assert_max_num_queries):
    for number in range(100):
        InformationSystem.objects.create(code=f"x{number}", name=f"khien {number}", unit=filled.units["so-y-te"])
    with django_assert_max_num_queries(22):
        search.search(filled.analyst, "khien", 25)


def test_suggestions_stop_when_their_time_is_up(filled):
    groups, late = search.search(filled.analyst, "khien", 5, seconds=-1.0)
    assert (groups, late) == ([], True)
