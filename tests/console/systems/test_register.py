"""The register of systems: list, page, form, what is refused at which line, and who may."""

from __future__ import annotations

import time

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from khien.console.accounts.access import Forbidden
from khien.console.alerts.models import Alert
from khien.console.audit.models import Entry
from khien.console.systems import selectors, services
from khien.console.systems.identifiers import hostnames, networks
from khien.console.systems.models import InformationSystem
from khien.console.systems.selectors import overlaps, search_systems

pytestmark = pytest.mark.django_db


def system(by, unit, name: str = "Bệnh án điện tử", **fields) -> InformationSystem:
    return services.create_system(by, name=name, unit=unit, **{"level": 3, **fields})


def test_wrong_lines_are_named():
    with pytest.raises(ValidationError) as wrong:
        hostnames("good-1\n\nbad name\n*\n*.example.vn # fine")
    assert [message.split(":")[0].split()[-1] for message in wrong.value.messages] == ["3", "4"]
    with pytest.raises(ValidationError) as wrong:
        networks("10.1.0.0/16\n10.1.0.7/16\nnonsense\n10.0.0.9-10.0.0.1\n2001:db8::/33")
    assert [message.split(":")[0].split()[-1] for message in wrong.value.messages] == ["2", "3", "4"]
    assert "10.1.0.0/16" in wrong.value.messages[0]


def test_a_system_is_entered_changed_and_kept_in_the_trail(province):
    made = system(province.analyst, province.units["so-y-te"], hostnames="syt-*")
    assert made.code == "benh-an-dien-tu"
    services.edit_system(province.analyst, made.pk, 1, level=4)
    entry = Entry.objects.latest("number")
    assert (entry.action, entry.before, entry.after) == ("system.edit", {"level": 3}, {"level": 4})
    with pytest.raises(ValidationError):
        services.edit_system(province.analyst, made.pk, None, level=6)
    with pytest.raises(ValidationError):
        services.edit_system(province.analyst, made.pk, None, hostnames="a b")


def test_duty_officers_look_and_do_not_write(province, signed_in):
    made = system(province.analyst, province.units["so-y-te"])
    with pytest.raises(Forbidden):
        services.edit_system(province.health, made.pk, None, level=1)
    client = signed_in(province.health)
    assert client.get(f"/systems/{made.pk}/").status_code == 200
    assert client.get(f"/systems/{made.pk}/edit").status_code == 403
    assert client.get("/systems/new").status_code == 403
    assert "/systems/new" not in client.get("/systems/").content.decode()


def test_a_foreign_system_is_nowhere(province, signed_in):
    made = system(province.analyst, province.units["xa-mau"], name="Một cửa xã", hostnames="xm-*")
    client = signed_in(province.health)
    assert client.get(f"/systems/{made.pk}/").status_code == 404
    assert "Một cửa" not in client.get("/systems/").content.decode()
    assert b"xm-*" not in b"".join(client.get("/systems/?export=csv").streaming_content)
    assert search_systems(province.health, "mot cua") == []
    assert search_systems(province.analyst, "mot cua") == [made]
    assert client.get(f"/systems/?unit={province.units['xa-mau'].pk}").context["page"].paginator.count == 0
    assert signed_in(province.press).get("/systems/").status_code == 403
    assert Client().get("/systems/").status_code == 302


def test_filters_are_addresses(province, signed_in):
    system(province.analyst, province.units["so-y-te"], name="Sở A", level=2, hostnames="srv-a")
    system(province.analyst, province.units["benh-vien"], name="Viện B", level=3, address_ranges="10.9.0.0/16")
    system(province.analyst, province.units["xa-mau"], name="Xã C", level=3, is_active=False)
    client = signed_in(province.analyst)

    def found(query: str) -> list[str]:
        return [each.name for each in client.get(f"/systems/?{query}").context["page"]]

    assert found("") == ["Sở A", "Viện B"]
    assert found("level=3") == ["Viện B"]
    assert found(f"unit={province.units['so-y-te'].pk}") == ["Sở A", "Viện B"]
    assert found("text=SO+a") == ["Sở A"]
    assert found("text=10.9") == ["Viện B"]
    assert found("state=inactive") == ["Xã C"]
    assert found("state=all&sort=level") == ["Viện B", "Xã C", "Sở A"]
    assert found("text=nothing&page=zzz&sort=zzz&level=zzz&unit=zzz") == []


def test_the_form_says_the_line_and_keeps_what_was_written(province, signed_in):
    client = signed_in(province.analyst)
    data = {
        "name": "X",
        "unit": province.units["so-y-te"].pk,
        "level": "2",
        "is_active": "on",
        "hostnames": "ok-1\nnot ok",
        "address_ranges": "10.0.0.1/8",
    }
    answer = client.post("/systems/new", data)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "Line 2: “not ok” is not a host name." in page
    assert "Line 1: “10.0.0.1/8” is not the first address of its range; it would be 10.0.0.0/8." in page
    assert "ok-1\nnot ok" in page
    answer = client.post("/systems/new", data | {"hostnames": "ok-1", "address_ranges": ""})
    assert InformationSystem.objects.get().is_active
    assert answer["Location"] == f"/systems/{InformationSystem.objects.get().pk}/"


def test_the_second_writer_is_told(province, signed_in):
    made = system(province.analyst, province.units["so-y-te"])
    client = signed_in(province.analyst)
    data = {"version": "1", "name": "Tên Hai", "unit": made.unit_id, "level": "3", "code": made.code}
    services.edit_system(province.analyst2, made.pk, 1, name="Tên Một")
    answer = client.post(f"/systems/{made.pk}/edit", data)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Tên Một" in page
    assert 'value="Tên Hai"' in page


def test_overlaps_are_told_without_telling_foreign_names(province):
    one = system(
        province.analyst, province.units["so-y-te"], name="A", hostnames="syt-1\nsyt-2", address_ranges="10.1.0.0/16"
    )
    two = system(province.analyst, province.units["xa-mau"], name="B", hostnames="SYT-*", address_ranges="10.1.5.0/24")
    assert {(each.line, each.theirs, each.system) for each in overlaps(province.analyst, one)} == {
        ("syt-1", "syt-*", two), ("syt-2", "syt-*", two), ("10.1.0.0/16", "10.1.5.0/24", two),
    }  # fmt: skip
    assert {(each.theirs, each.system) for each in overlaps(province.health, one)} == {("", None)}


@pytest.mark.parametrize("language", ["vi", "en"])
def test_pages_open_in_both_languages_and_escape(province, signed_in, language):
    made = system(province.analyst, province.units["so-y-te"], name="<img src=x onerror=1>", description="<script>")
    Alert.objects.create(
        key="k", rule_id="r", title="<b>bad</b>", level=3, unit=made.unit, system=made,
        entity_value="<i>", first_at=timezone.now(), last_at=timezone.now(),
    )  # fmt: skip
    client = signed_in(province.analyst, language)
    for page in ("/systems/", "/systems/new", f"/systems/{made.pk}/", f"/systems/{made.pk}/edit"):
        text = client.get(page).content.decode()
        assert "<img src=x" not in text
        assert "<b>bad" not in text


def test_pages_take_a_bounded_number_of_queries(province, signed_in, django_assert_max_num_queries):
    for number in range(60):
        InformationSystem.objects.create(
            code=f"s{number}", name=f"S{number}", unit=province.units["so-y-te"], hostnames=f"h{number}"
        )
    client = signed_in(province.analyst)
    with django_assert_max_num_queries(16):
        client.get("/systems/?text=s")
    with django_assert_max_num_queries(18):
        client.get(f"/systems/{InformationSystem.objects.first().pk}/")


@pytest.mark.alone
def test_looking_for_overlaps_ends_whatever_systems_say(province, monkeypatch):
    monkeypatch.setattr(selectors, "SECONDS_FOR_OVERLAPS", 0.2)
    unit = province.units["so-y-te"]
    made = [
        InformationSystem.objects.create(
            code=name, name=name, unit=unit, level=1, hostnames="\n".join(f"{name}{n}-*" for n in range(5000))
        )
        for name in ("một", "hai", "ba")
    ]
    began = time.monotonic()
    selectors.overlaps(province.analyst, made[0])
    assert time.monotonic() - began < 3
