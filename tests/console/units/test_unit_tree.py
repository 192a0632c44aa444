"""Units: the tree one sees, making, changing, moving and closing down, and the pages of it."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client

from khien.console.accounts.access import Forbidden
from khien.console.accounts.models import User
from khien.console.accounts.roles import Role
from khien.console.audit.models import Entry
from khien.console.concurrency import Changed
from khien.console.units import services
from khien.console.units.models import Unit, UnitKind
from khien.console.units.naming import code_of
from khien.console.units.selectors import search_units, tree

pytestmark = pytest.mark.django_db


def kind(code: str) -> UnitKind:
    return UnitKind.objects.get(code=code)


@pytest.fixture
def health_admin(province) -> User:
    """An administrator of a department: manages its own part of the tree only."""
    return User.objects.create_user(
        "hadmin@example.vn",
        "correct horse battery",
        name="Quản trị Sở",
        unit=province.units["so-y-te"],
        role=Role.ADMINISTRATOR,
    )


def test_the_kinds_of_units_are_there_from_the_start_as_data(db):
    assert {"standing-office", "department", "commune", "enterprise", "telecom", "press", "hospital", "school"} <= set(
        UnitKind.objects.values_list("code", flat=True)
    )
    assert kind("standing-office").oversees
    assert not kind("department").oversees


def test_the_tree_counts_what_lies_below_too(province):
    nodes = {node.unit.code: node for node in tree(province.analyst)}
    assert nodes["tieu-ban"].counts["people"] == 10
    assert nodes["so-y-te"].counts["people"] == 2
    assert nodes["benh-vien"].depth == 2
    assert nodes["so-y-te"].has_children
    assert not nodes["xa-mau"].has_children


def test_one_sees_ones_own_unit_and_those_below(province):
    assert [node.unit.code for node in tree(province.health)] == ["so-y-te", "benh-vien"]
    assert [node.unit.code for node in tree(province.hospital)] == ["benh-vien"]


def test_a_search_without_marks_finds_units_and_shows_what_lies_above(province):
    nodes = tree(province.admin, text="benh VIEN tinh")
    assert [(node.unit.code, node.matches) for node in nodes] == [
        ("tieu-ban", False), ("so-y-te", False), ("benh-vien", True),
    ]  # fmt: skip
    assert [unit.code for unit in search_units(province.health, "y te")] == ["so-y-te"]
    assert search_units(province.hospital, "so y te") == []


def test_a_unit_gets_a_code_of_its_name_and_a_place(province):
    made = services.create_unit(
        province.admin, name="Trạm Y tế Đồng Mẫu", kind=kind("hospital"), parent=province.units["so-y-te"]
    )
    assert made.code == "tram-y-te-dong-mau"
    assert made.path == f"{province.units['so-y-te'].path}{made.pk}."
    assert Unit.objects.visible_to(User.objects.get(pk=province.health.pk)).filter(pk=made.pk).exists()
    assert Entry.objects.latest("number").after["kind"] == "hospital"
    assert (
        services.create_unit(province.admin, name="Trạm Y tế Đồng Mẫu", kind=made.kind, parent=None).code
        == "tram-y-te-dong-mau-2"
    )
    assert code_of("  Sở Y-tế (mẫu)!") == "so-y-te-mau"


def test_only_those_who_manage_units_write_them(province):
    for person in (province.analyst, province.chair, province.auditor, province.health):
        with pytest.raises(Forbidden):
            services.create_unit(person, name="X", kind=kind("department"), parent=None)


def test_moving_takes_the_whole_part_of_the_tree_along(province):
    ward = services.create_unit(
        province.admin, name="Khoa Mẫu", kind=kind("hospital"), parent=province.units["benh-vien"]
    )
    services.move_unit(province.admin, province.units["benh-vien"].pk, None, province.units["xa-mau"])
    hospital, ward = Unit.objects.get(code="benh-vien"), Unit.objects.get(pk=ward.pk)
    assert hospital.path == f"{province.units['xa-mau'].path}{hospital.pk}."
    assert ward.path == f"{hospital.path}{ward.pk}."
    assert Entry.objects.latest("number").before == {"parent": "so-y-te"}
    assert Entry.objects.latest("number").after == {"parent": "xa-mau"}


@pytest.mark.parametrize("target", ["so-y-te", "benh-vien"])
def test_a_unit_never_becomes_part_of_itself(province, target):
    with pytest.raises(ValidationError):
        services.move_unit(province.admin, province.units["so-y-te"].pk, None, province.units[target])


def test_a_departments_administrator_stays_within_its_part_of_the_tree(province, health_admin):
    made = services.create_unit(
        health_admin, name="Phòng khám", kind=kind("hospital"), parent=province.units["benh-vien"]
    )
    assert made.parent.code == "benh-vien"
    with pytest.raises(ValidationError):
        services.create_unit(health_admin, name="Y", kind=kind("hospital"), parent=province.units["xa-mau"])
    with pytest.raises(PermissionDenied):
        services.create_unit(health_admin, name="Y", kind=kind("hospital"), parent=None)
    with pytest.raises(Unit.DoesNotExist):
        services.edit_unit(health_admin, province.units["xa-mau"].pk, None, name="Z")
    with pytest.raises(ValidationError):
        services.move_unit(health_admin, province.units["so-y-te"].pk, None, made)


def test_nobody_gives_a_unit_a_sight_they_do_not_have(province, health_admin):
    with pytest.raises(PermissionDenied):
        services.create_unit(health_admin, name="Y", kind=kind("standing-office"), parent=province.units["so-y-te"])
    with pytest.raises(PermissionDenied):
        services.edit_unit(health_admin, province.units["benh-vien"].pk, None, kind=kind("subcommittee"))
    with pytest.raises(PermissionDenied):
        services.save_kind(health_admin, kind("hospital").pk, None, oversees=True)


def test_closing_down_asks_for_a_reason_and_keeps_the_history(province, signed_in):
    unit = province.units["bao-mau"]
    with pytest.raises(ValidationError):  # people are still there
        services.deactivate_unit(province.admin, unit.pk, None, "QĐ 1")
    User.objects.filter(unit=unit).update(is_active=False)
    with pytest.raises(ValidationError):
        services.deactivate_unit(province.admin, unit.pk, None, "  ")
    services.deactivate_unit(province.admin, unit.pk, None, "QĐ 12/QĐ-UBND")
    assert "bao-mau" not in [node.unit.code for node in tree(province.admin)]
    assert "bao-mau" in [node.unit.code for node in tree(province.admin, inactive=True)]
    assert "QĐ 12/QĐ-UBND" in signed_in(province.admin).get(f"/units/{unit.pk}/").content.decode()
    with pytest.raises(ValidationError):  # has units below
        services.deactivate_unit(province.admin, province.units["so-y-te"].pk, None, "x")
    assert services.reactivate_unit(province.admin, unit.pk, None).is_active


def test_the_second_of_two_writers_is_told_and_nothing_is_lost(province, signed_in):
    unit = province.units["xa-mau"]
    services.edit_unit(province.admin, unit.pk, 1, name="Xã Mẫu Mới")
    with pytest.raises(Changed):
        services.edit_unit(province.admin, unit.pk, 1, name="Xã Khác")
    answer = signed_in(province.admin).post(
        f"/units/{unit.pk}/edit",
        {"version": "1", "name": "Xã Khác", "code": "xa-mau", "kind": unit.kind_id},
    )
    page = answer.content.decode()
    assert answer.status_code == 409
    assert 'value="Xã Khác"' in page
    assert "Xã Mẫu Mới" in page
    assert 'name="version" value="2"' in page


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize(
    "page",
    [
        "/units/",
        "/units/new",
        "/units/kinds/",
        "/units/kinds/new",
        "/units/subcommittee/",
        "/units/{pk}/",
        "/units/{pk}/edit",
        "/units/{pk}/move",
        "/units/{pk}/deactivate",
    ],
)
def test_every_page_opens_in_both_languages(province, signed_in, page, language):
    answer = signed_in(province.admin, language).get(page.format(pk=province.units["so-y-te"].pk))
    assert answer.status_code == 200


def test_a_foreign_unit_is_not_there_and_a_stranger_signs_in_first(province, signed_in):
    foreign = province.units["xa-mau"].pk
    assert signed_in(province.health).get(f"/units/{foreign}/").status_code == 404
    assert signed_in(province.health).get(f"/units/{foreign}/edit").status_code == 403
    assert Client().get("/units/").status_code == 302
    for page in ("edit", "move", "deactivate"):
        assert signed_in(province.chair).get(f"/units/{foreign}/{page}").status_code == 403


def test_a_departments_administrator_finds_foreign_units_neither_in_pages_nor_in_choices(
    province, signed_in, health_admin
):
    client = signed_in(health_admin)
    assert client.get(f"/units/{province.units['xa-mau'].pk}/edit").status_code == 404
    assert "Xã Mẫu" not in client.get("/units/new").content.decode()
    assert client.get("/units/kinds/").status_code == 403


def test_names_are_escaped(province, signed_in):
    services.edit_unit(province.admin, province.units["xa-mau"].pk, None, name="<script>alert(1)</script>")
    for page in ("/units/", f"/units/{province.units['xa-mau'].pk}/", "/units/new"):
        text = signed_in(province.admin).get(page).content.decode()
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


def test_a_new_unit_by_the_form(province, signed_in):
    client = signed_in(province.admin)
    data = {"name": "Sở Mẫu", "kind": kind("department").pk, "parent": province.units["tieu-ban"].pk}
    made = Unit.objects.get(pk=int(client.post("/units/new", data)["Location"].split("/")[2]))
    assert (made.code, made.parent.code) == ("so-mau", "tieu-ban")
    answer = client.post("/units/new", data | {"code": "so-mau"})
    assert answer.status_code == 400
    assert "already exists" in answer.content.decode()


def test_the_tree_takes_a_bounded_number_of_queries(province, signed_in, django_assert_max_num_queries):
    client = signed_in(province.admin)
    for number in range(60):
        unit = Unit.objects.create(
            code=f"u{number}", name=f"U{number}", kind=kind("commune"), parent=province.units["tieu-ban"]
        )
        Unit.objects.filter(pk=unit.pk).update(path=f"{province.units['tieu-ban'].path}{unit.pk}.")
    with django_assert_max_num_queries(22):
        assert client.get("/units/").status_code == 200


def test_the_list_is_saved_with_what_the_import_reads(province, signed_in):
    answer = signed_in(province.health).get("/units/?export=csv")
    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()
    assert lines[0] == "Code,Name,Short name,Kind,Part of,Address,E-mail,Phone"
    assert lines[1].startswith("so-y-te,Sở Y tế (mẫu),,Department,,")
    assert (
        lines[2].startswith("benh-vien,Bệnh viện tỉnh (mẫu),,Hospital or health centre,so-y-te,")
        or ",so-y-te," in lines[2]
    )
    assert len(lines) == 3
