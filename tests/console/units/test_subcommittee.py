"""The subcommittee: seats by decision and term, who sat when, replacing and ending, and who may write it."""

from __future__ import annotations

from datetime import date

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from khien.console.accounts.models import User
from khien.console.accounts.roles import Role
from khien.console.audit.models import Entry
from khien.console.concurrency import Changed
from khien.console.units import subcommittee
from khien.console.units.models import Appointment

pytestmark = pytest.mark.django_db


def term(person: str, start: date, end: date | None = None, **more) -> dict:
    return {
        "seat": "chair", "person": person, "decision_number": "12/QĐ-TU", "decision_date": date(2026, 1, 5),
        "starts_on": start, "ends_on": end, **more,
    }  # fmt: skip


def names(day: date) -> list[str]:
    return [row.person for row in subcommittee.sitting_on(day)]


def test_who_sat_on_the_first_of_march(province):
    first = subcommittee.appoint(province.admin, **term("Ông Mẫu A", date(2025, 7, 1)))
    subcommittee.appoint(
        province.admin, **term("Bà Mẫu M", date(2025, 7, 1), seat="member", unit=province.units["so-y-te"])
    )
    new = subcommittee.replace(province.admin, first.pk, 1, **term("Bà Mẫu B", date(2026, 3, 15)))
    assert names(date(2025, 6, 30)) == []
    assert names(date(2026, 3, 1)) == ["Ông Mẫu A", "Bà Mẫu M"]
    assert names(date(2026, 3, 14)) == ["Ông Mẫu A", "Bà Mẫu M"]
    assert names(date(2026, 3, 15)) == ["Bà Mẫu B", "Bà Mẫu M"]
    assert new.replaces == first
    assert Appointment.objects.get(pk=first.pk).ends_on == date(2026, 3, 14)


def test_there_is_one_chair_at_a_time_and_nobody_sits_twice(province):
    subcommittee.appoint(province.admin, **term("Ông Mẫu A", date(2025, 7, 1)))
    with pytest.raises(ValidationError):
        subcommittee.appoint(province.admin, **term("Bà Mẫu B", date(2026, 1, 1)))
    subcommittee.appoint(province.admin, **term("Bà Mẫu B", date(2024, 1, 1), date(2025, 6, 30)))
    subcommittee.appoint(province.admin, **term("x", date(2025, 7, 1), seat="member", user=province.health))
    with pytest.raises(ValidationError):
        subcommittee.appoint(province.admin, **term("y", date(2025, 9, 1), seat="member", user=province.health))


def test_a_term_is_ended_with_a_reason_and_kept(province):
    row = subcommittee.appoint(province.admin, **term("", date(2025, 7, 1), user=province.chair))
    assert row.person == province.chair.name
    with pytest.raises(ValidationError):
        subcommittee.end(province.admin, row.pk, 1, date(2025, 6, 1), "x")
    with pytest.raises(ValidationError):
        subcommittee.end(province.admin, row.pk, 1, date(2026, 6, 1), " ")
    subcommittee.end(province.admin, row.pk, 1, date(2026, 6, 1), "Nghỉ hưu, QĐ 7")
    assert Appointment.objects.get(pk=row.pk).end_reason == "Nghỉ hưu, QĐ 7"
    assert Entry.objects.latest("number").action == "appointment.end"
    with pytest.raises(Changed):
        subcommittee.end(province.admin, row.pk, 1, date(2026, 5, 1), "x")


def test_only_administrators_who_see_all_units_keep_the_list(province):
    local = User.objects.create_user(
        "l@example.vn", "x" * 12, name="L", unit=province.units["so-y-te"], role=Role.ADMINISTRATOR
    )
    for person in (local, province.chair, province.analyst):
        with pytest.raises(PermissionDenied):
            subcommittee.appoint(person, **term("X", date(2025, 7, 1)))


def test_the_page_answers_for_a_day_and_lists_all_terms(province, signed_in):
    first = subcommittee.appoint(province.admin, **term("Ông <b>Mẫu</b> A", date(2025, 7, 1)))
    subcommittee.replace(province.admin, first.pk, 1, **term("Bà Mẫu B", date(2026, 3, 15)))
    client = signed_in(province.commune)
    page = client.get("/units/subcommittee/?on=2026-03-01").content.decode()
    assert "Ông &lt;b&gt;Mẫu&lt;/b&gt; A" in page
    assert "Bà Mẫu B" not in page
    assert "/appoint" not in page
    page = client.get("/units/subcommittee/?history=1").content.decode()
    assert "Replaces Ông" in page
    assert "12/QĐ-TU" in page
    assert client.get("/units/subcommittee/?on=nonsense").status_code == 200
    assert client.get("/units/subcommittee/appoint").status_code == 403
    lines = (
        b"".join(client.get("/units/subcommittee/?on=2026-03-01&export=csv").streaming_content).decode().splitlines()
    )
    assert len(lines) == 2


def test_appointing_replacing_correcting_and_ending_by_the_forms(province, signed_in):
    client = signed_in(province.admin)
    data = {
        "seat": "deputy",
        "user": province.health.pk,
        "decision_number": "1/QĐ",
        "decision_date": "2026-01-05",
        "starts_on": "2026-01-10",
    }
    assert client.post("/units/subcommittee/appoint", data)["Location"] == "/units/subcommittee/"
    row = Appointment.objects.get()
    assert row.person == province.health.name
    answer = client.post("/units/subcommittee/appoint", {**data, "user": "", "person": ""})
    assert answer.status_code == 400
    for page in ("replace", "correct", "end"):
        assert client.get(f"/units/subcommittee/{row.pk}/{page}").status_code == 200
    client.post(f"/units/subcommittee/{row.pk}/correct", {**data, "version": "1", "decision_number": "2/QĐ"})
    stale = client.post(f"/units/subcommittee/{row.pk}/correct", {**data, "version": "1", "decision_number": "3/QĐ"})
    assert stale.status_code == 409
    assert "2/QĐ" in stale.content.decode()
    assert "3/QĐ" in stale.content.decode()
    client.post(
        f"/units/subcommittee/{row.pk}/replace",
        {**data, "version": "2", "user": "", "person": "Bà Mẫu", "starts_on": "2026-02-01"},
    )
    assert names(date(2026, 2, 2)) == ["Bà Mẫu"]
    new = Appointment.objects.latest("id")
    client.post(
        f"/units/subcommittee/{new.pk}/end", {"version": "1", "ends_on": "2026-02-10", "reason": "Chuyển công tác"}
    )
    assert names(date(2026, 2, 11)) == []


def test_the_page_takes_a_bounded_number_of_queries(province, signed_in, django_assert_max_num_queries):
    client = signed_in(province.admin)
    for number in range(40):
        subcommittee.appoint(
            province.admin, **term(f"M{number}", date(2025, 7, 1), seat="member", unit=province.units["so-y-te"])
        )
    with django_assert_max_num_queries(16):
        client.get("/units/subcommittee/?on=2026-03-01")
    with django_assert_max_num_queries(16):
        client.get("/units/subcommittee/?history=1")
