"""Which unit and system an alert belongs to: by host name, address range, or the unit of its source."""

from __future__ import annotations

import time

import pytest

from khien.console.systems import selectors
from khien.console.systems.models import InformationSystem
from khien.console.systems.routing import Table, Target
from khien.console.systems.selectors import route

pytestmark = pytest.mark.django_db


def register(unit, code: str, hostnames: str = "", ranges: str = "", **fields) -> InformationSystem:
    return InformationSystem.objects.create(
        code=code, name=code, unit=unit, hostnames=hostnames, address_ranges=ranges, **fields
    )


def test_an_exact_name_wins_over_a_pattern_and_the_longer_pattern_over_the_shorter(province):
    health, hospital = province.units["so-y-te"], province.units["benh-vien"]
    wide = register(health, "wide", "syt-*")
    narrow = register(hospital, "narrow", "syt-bv-*")
    exact = register(health, "exact", "SYT-BV-07  # the old server")
    assert route(["syt-pc01"], [], "") == (health.id, wide.id)
    assert route(["SYT-BV-01"], [], "") == (hospital.id, narrow.id)
    assert route(["syt-bv-07"], [], "") == (health.id, exact.id)
    assert route(["other"], [], "") == (None, None)


def test_a_full_name_and_its_short_name_are_the_same_machine(province):
    unit = province.units["so-y-te"]
    full = register(unit, "full", "sv01.syt.example\npc*.syt.example")
    short = register(unit, "short", "web01")
    assert route(["SV01"], [], "") == (unit.id, full.id)
    assert route(["pc22"], [], "") == (unit.id, full.id)
    assert route(["sv01.syt.example."], [], "") == (unit.id, full.id)
    assert route(["web01.anywhere.example"], [], "") == (unit.id, short.id)
    assert route(["sv01.another.example"], [], "") == (None, None)
    register(unit, "twin", "sv01.stc.example")
    assert route(["sv01"], [], "") == (None, None)  # two are called so


def test_the_narrowest_range_wins_in_both_families(province):
    health, hospital = province.units["so-y-te"], province.units["benh-vien"]
    wide = register(health, "wide", "", "10.1.0.0/16\n2001:db8::/32")
    narrow = register(hospital, "narrow", "", "10.1.5.0/24\n10.1.6.10-10.1.6.12\n2001:db8:5::/48")
    assert route([], ["10.1.7.1"], "") == (health.id, wide.id)
    assert route([], ["203.0.113.9", "10.1.5.200", "10.1.7.1"], "") == (hospital.id, narrow.id)
    assert route([], ["10.1.6.11"], "") == (hospital.id, narrow.id)
    assert route([], ["10.1.6.13"], "") == (health.id, wide.id)
    assert route([], ["2001:db8:5::1"], "") == (hospital.id, narrow.id)
    assert route([], ["::ffff:10.1.5.1"], "") == (hospital.id, narrow.id)
    assert route([], ["no address", ""], "") == (None, None)


def test_names_are_asked_before_addresses_and_both_before_the_unit_of_the_source(province):
    health, hospital = province.units["so-y-te"], province.units["benh-vien"]
    named = register(hospital, "named", "bv-*")
    ranged = register(health, "ranged", "", "10.0.0.0/8")
    assert route(["bv-1"], ["10.0.0.1"], "xa-mau") == (hospital.id, named.id)
    assert route(["x"], ["10.0.0.1"], "xa-mau") == (health.id, ranged.id)
    assert route(["x"], [], "xa-mau") == (province.units["xa-mau"].id, None)


@pytest.mark.parametrize("said", ["so-y-te", "SO-Y-TE", "Sở Y tế (mẫu)", "sở y tế (MẪU)"])
def test_a_source_names_its_unit_by_code_or_name_in_any_case(province, said):
    assert route([], [], said) == (province.units["so-y-te"].id, None)


def test_an_inactive_system_is_passed_over(province):
    register(province.units["so-y-te"], "old", "syt-*", is_active=False)
    assert route(["syt-1"], [], "") == (None, None)


def test_a_change_is_seen_at_once_here_and_after_a_second_elsewhere(province, monkeypatch):
    system = register(province.units["so-y-te"], "s", "a1")
    assert route(["a1"], [], "")[1] == system.id
    system.hostnames = "b1"
    system.save()
    assert route(["a1"], [], "") == (None, None)
    # Another process writes: no signal is heard here.
    InformationSystem.objects.filter(pk=system.pk).update(hostnames="c1", version=2)
    assert route(["c1"], [], "") == (None, None)
    monkeypatch.setattr(selectors, "SECONDS_BETWEEN_LOOKS", 0.0)
    assert route(["c1"], [], "")[1] == system.id


def test_asking_costs_no_query_while_nothing_changes(province, django_assert_num_queries):
    route(["a"], [], "")
    with django_assert_num_queries(0):
        for number in range(200):
            route([f"a{number}"], [f"10.0.0.{number}"], "so-y-te")


@pytest.mark.alone
def test_ten_thousand_alerts_a_second_with_five_thousand_patterns():
    table = Table()
    for number in range(5000):
        shape = (
            f"u{number}-*",
            f"*-u{number}.tinh.example",
            f"u{number}-*-pc*.tinh.example",
            f"srv{number}.tinh.example",
        )
        table.add(Target(1, number), shape[number % 4], f"10.{number // 250}.{number % 250}.0/24")
    asked = [
        ([f"u{n % 5000}-x{n}-pc{n % 9}.tinh.example"], [f"10.{n % 20}.{n % 250}.{n % 200}"]) for n in range(10_000)
    ]
    started = time.process_time()
    found = [table.route(names, addresses, "") for names, addresses in asked]
    assert time.process_time() - started < 1.0
    assert all(unit == 1 for unit, _system in found)


@pytest.mark.alone
def test_a_name_with_many_stars_takes_no_longer_for_a_hostile_host():
    table = Table()
    table.add(Target(1, 1), "a*" * 100 + "b", "")
    table.add(Target(2, 2), "*a" * 60 + ".tinh.example", "")
    began = time.monotonic()
    assert table.by_name("a" * 250 + "c") is None
    assert table.by_name("a" * 200 + ".tinh.example").target == Target(2, 2)
    assert time.monotonic() - began < 1.0


def test_a_pattern_of_a_short_name_goes_no_further_than_a_dot():
    table = Table()
    table.add(Target(1, 1), "syt-pc*.tinh.example", "")
    assert table.by_name("syt-pc07").target == Target(1, 1)
    assert table.by_name("syt-pc07.khac.example") is None
