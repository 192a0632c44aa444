"""Imports: a table is looked at before it is written, all or nothing, and only what was seen."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django.utils.translation import override

from khien.console.accounts.models import User
from khien.console.accounts.roles import Role
from khien.console.audit.models import Entry
from khien.console.directives.models import Task
from khien.console.spreadsheets import imports, reading
from khien.console.spreadsheets.importers import importers
from khien.console.spreadsheets.models import Import
from khien.console.systems.models import InformationSystem
from khien.console.systems.services import create_system
from khien.console.units.models import Unit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _data(settings, tmp_path) -> None:
    settings.DATA = tmp_path


def csv_file(*lines: str, name: str = "table.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, "\n".join(lines).encode())


def xlsx_file(*rows: list) -> SimpleUploadedFile:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return SimpleUploadedFile("table.xlsx", out.getvalue())


def look(user: User, name: str, file: SimpleUploadedFile) -> tuple[Import, imports.Preview]:
    staged = imports.stage(user, name, file)
    return staged, imports.preview(user, staged)


def kinds(preview: imports.Preview) -> list[str]:
    return [row.kind for row in preview.rows]


def test_the_preview_tells_new_changed_and_unchanged_rows_and_each_changed_cell(province):
    file = xlsx_file(
        ["code", "Name", "Kind", "Part of"],
        ["so-moi", "Sở Mới", "department", "tieu-ban"],
        ["xa-mau", "Xã Mẫu Đổi Tên", "Commune", "Tiểu ban An toàn, An ninh mạng"],
        ["benh-vien", "Bệnh viện tỉnh (mẫu)", "hospital", "so-y-te"],
    )
    staged, seen = look(province.admin, "units", file)
    assert seen.errors == []
    assert kinds(seen) == ["create", "change", "same"]
    cell = seen.rows[1].cells[1]
    assert (cell.name, cell.before, cell.after, cell.changed) == ("B3", "Xã Mẫu", "Xã Mẫu Đổi Tên", True)
    assert [cell.changed for cell in seen.rows[1].cells] == [False, True, False, False]
    assert not Unit.objects.filter(code="so-moi").exists()
    imports.apply(province.admin, staged.pk, seen.digest)
    assert Unit.objects.get(code="so-moi").parent.code == "tieu-ban"
    assert Unit.objects.get(code="xa-mau").name == "Xã Mẫu Đổi Tên"
    entry = Entry.objects.latest("number")
    assert (entry.action, entry.after["create"], entry.after["change"]) == ("import.apply", 1, 1)


def test_units_above_may_stand_anywhere_in_the_same_file(province):
    file = csv_file("code,name,kind,parent", "phong-a,Phòng A,department,chi-cuc", "chi-cuc,Chi cục,department,so-y-te")
    staged, seen = look(province.admin, "units", file)
    imports.apply(province.admin, staged.pk, seen.digest)
    assert Unit.objects.get(code="phong-a").parent.code == "chi-cuc"
    assert Unit.objects.get(code="phong-a").path.startswith(Unit.objects.get(code="chi-cuc").path)


def test_units_that_are_part_of_each_other_are_refused(province):
    file = csv_file("code,name,kind,parent", "a-1,A,department,b-1", "b-1,B,department,a-1")
    staged, seen = look(province.admin, "units", file)
    with pytest.raises(Exception, match="a-1, b-1"):
        imports.apply(province.admin, staged.pk, seen.digest)
    assert not Unit.objects.filter(code="a-1").exists()


def test_errors_name_the_cell(province, signed_in):
    file = csv_file(
        "code,name,kind,parent,colour",
        "so a,,department,nowhere,red",
        "xa-mau,X,commune,tieu-ban,",
        "xa-mau,X,commune,tieu-ban,",
    )
    client = signed_in(province.admin)
    answer = client.post("/spreadsheets/units/new", {"file": file})
    page = client.get(answer["Location"]).content.decode()
    assert "E1: there is no column “colour” here." in page
    file = csv_file(
        "code,name,kind,parent", "so a,,thing,nowhere", "xa-mau,X,commune,tieu-ban", "xa-mau,X,commune,tieu-ban"
    )
    page = client.get(client.post("/spreadsheets/units/new", {"file": file})["Location"]).content.decode()
    assert "A2: “so a” is not a code" in page
    assert "B2: This must not be empty." in page
    assert "C2: There is no kind of units called “thing”." in page
    assert "D2: There is no unit with the code or name “nowhere”." in page
    assert "A3: This stands in more than one row." in page
    assert "Import all of it" not in page


def test_nothing_is_written_when_the_data_changed_since_the_preview(province, signed_in):
    client = signed_in(province.admin)
    file = csv_file("code,name,kind,parent", "xa-mau,Xã Một,commune,tieu-ban")
    place = client.post("/spreadsheets/units/new", {"file": file})["Location"]
    staged = Import.objects.get()
    digest = imports.preview(province.admin, staged).digest
    Unit.objects.filter(code="xa-mau").update(name="Xã Hai")
    answer = client.post(place, {"digest": digest})
    assert answer.status_code == 409
    assert "The data has changed since you looked" in answer.content.decode()
    assert Unit.objects.get(code="xa-mau").name == "Xã Hai"
    assert "Xã Hai" in answer.content.decode()


def test_a_file_is_imported_once(province, signed_in):
    client = signed_in(province.admin)
    file = csv_file("code,name,kind,parent", "xa-mau,Xã Một,commune,tieu-ban")
    place = client.post("/spreadsheets/units/new", {"file": file})["Location"]
    page = client.get(place).content.decode()
    digest = page.split('name="digest" value="')[1].split('"')[0]
    assert client.post(place, {"digest": digest})["Location"] == "/units/"
    assert client.post(place, {"digest": digest}).status_code == 400
    assert "Imported" in client.get(place).content.decode()


def test_systems_round_trip_and_say_wrong_lines(province, signed_in):
    file = csv_file(
        "code;name;unit;level;hostnames;address_ranges",
        'his;Bệnh án;so-y-te;3;"syt-*\nhis.example";10.1.0.0/16',
        "x1;X;Sở Y tế (mẫu);9;a b;10.1.0.1/16",
    )
    _staged, seen = look(province.analyst, "systems", file)
    assert [error.split(":")[0] for error in seen.errors] == ["D3", "E3", "F3"]
    file = csv_file("code;name;unit;level;hostnames;address_ranges", "his;Bệnh án;so-y-te;3;syt-*; 10.1.0.0/16")
    staged, seen = look(province.analyst, "systems", file)
    imports.apply(province.analyst, staged.pk, seen.digest)
    assert InformationSystem.objects.get().level == 3
    saved = b"".join(signed_in(province.analyst).get("/systems/?export=xlsx").streaming_content)
    _staged, seen = look(province.analyst, "systems", SimpleUploadedFile("s.xlsx", saved))
    assert kinds(seen) == ["same"]


def test_people_are_invited_and_known_ones_changed(province, mailoutbox):
    file = csv_file(
        "email,name,unit,role,title",
        "moi@example.vn,Người Mới,xa-mau,duty_officer,Chuyên viên",
        "health@example.vn,Tên Khác,so-y-te,Duty officer,",
    )
    staged, seen = look(province.admin, "users", file)
    assert kinds(seen) == ["create", "change"]
    imports.apply(province.admin, staged.pk, seen.digest)
    assert User.objects.get(email="health@example.vn").name == "Tên Khác"
    from khien.console.accounts.models import Invitation

    assert Invitation.objects.get().unit.code == "xa-mau"


def test_tasks_are_given_to_units_and_not_twice(province):
    day = (timezone.localdate() + timedelta(days=9)).strftime("%d/%m/%Y")
    lines = (
        "title,unit,due_at,assignee",
        f"Rà soát tài khoản,so-y-te,{day},health@example.vn",
        f"Sao lưu,xa-mau,{day},",
    )
    staged, seen = look(province.analyst, "tasks", csv_file(*lines))
    assert seen.errors == []
    imports.apply(province.analyst, staged.pk, seen.digest)
    task = Task.objects.get(title="Rà soát tài khoản")
    assert task.assignee == province.health
    assert timezone.localtime(task.due_at).strftime("%d/%m/%Y %H:%M") == f"{day} 17:00"
    _staged, seen = look(province.analyst, "tasks", csv_file(*lines))
    assert [error[:2] for error in seen.errors] == ["A2", "A3"]
    _staged, seen = look(province.analyst, "tasks", csv_file(lines[0], "X,so-y-te,01/01/2020,commune@example.vn"))
    assert [error[:2] for error in seen.errors] == ["C2"]


def test_one_imports_only_what_ones_role_writes_into_units_one_sees(province, signed_in):
    assert signed_in(province.health).get("/spreadsheets/systems/new").status_code == 403
    assert signed_in(province.analyst).get("/spreadsheets/users/new").status_code == 403
    assert signed_in(province.admin).get("/spreadsheets/nonsense/new").status_code == 404
    assert Client().get("/spreadsheets/units/new").status_code == 302
    local = User.objects.create_user(
        "l@example.vn", "x" * 12, name="L", unit=province.units["so-y-te"], role=Role.ADMINISTRATOR
    )
    file = csv_file(
        "code,name,kind,parent",
        "xa-mau,Chiếm,commune,so-y-te",
        "a1,A,standing-office,so-y-te",
        "a2,A,hospital,xa-mau",
        "a3,A,hospital,",
    )
    _staged, seen = look(local, "units", file)
    assert [error[:2] for error in seen.errors] == ["A2", "C3", "D4", "D5"]


def test_what_one_does_not_see_is_neither_told_of_nor_tried_unnoticed(province):
    clerk = User.objects.create_user("y@example.vn", name="Y", unit=province.units["so-y-te"], role=Role.ADMINISTRATOR)
    checker = User.objects.create_user("z@example.vn", name="Z", unit=province.units["so-y-te"], role=Role.ANALYST)
    create_system(province.admin, name="Một cửa", code="mot-cua", unit=province.units["xa-mau"], level=2)
    tables = {
        "units": csv_file("code,name,kind,parent", "xa-mau,X,commune,so-y-te", "khoa,Khoa,hospital,so-y-te"),
        "users": csv_file("email,name,unit,role", "commune@example.vn,X,so-y-te,duty_officer"),
        "systems": csv_file("code,name,unit,level", "mot-cua,X,so-y-te,2"),
    }
    with override("en"):
        for name, file in tables.items():
            staged, seen = look(clerk, name, file)
            assert seen.errors == ["A2: This cannot be used here: choose another."]
            imports.preview(clerk, staged)
            kept = Entry.objects.get(action="import.refuse_keys", target_id=str(staged.pk))
            assert (kept.actor, kept.after["count"]) == (clerk, 1)
        staged, seen = look(checker, "tasks", csv_file("title,unit,due_at", "x,xa-mau,31/12/2099"))
    assert "xa-mau" in seen.errors[-1]
    assert "no unit" in seen.errors[-1]
    assert "commune@example.vn" in Entry.objects.filter(action="import.refuse_keys").order_by("number")[1].after["keys"]


def test_anothers_import_is_not_there(province, signed_in):
    staged = imports.stage(province.admin, "units", csv_file("code,name,kind", "a1,A,commune"))
    assert signed_in(province.analyst).get(f"/spreadsheets/imports/{staged.pk}/").status_code == 404


@pytest.mark.parametrize("name", ["units", "users", "systems", "tasks"])
@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_file_to_fill_in_is_one_that_can_be_read(province, signed_in, name, language):
    client = signed_in(province.analyst if name in ("systems", "tasks") else province.admin, language)
    assert client.get(f"/spreadsheets/{name}/new").status_code == 200
    data = b"".join(client.get(f"/spreadsheets/{name}/template").streaming_content)
    book = openpyxl.load_workbook(io.BytesIO(data))
    header = [cell.value for cell in book.worksheets[0][1]]
    places, errors = imports._places(importers()[name], header)
    assert errors == []
    assert len(places) == len(importers()[name].columns)


def refused(file: bytes) -> str:
    with pytest.raises(reading.ValidationError) as caught:
        reading.read(io.BytesIO(file))
    return str(caught.value)


def test_what_would_unfold_to_far_more_is_not_unfolded():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (reading.MOST_UNZIPPED + 1))
    assert len(out.getvalue()) < 100_000
    assert refused(out.getvalue())


def test_broken_old_empty_and_overlong_files_are_refused_plainly():
    assert refused(b"PK\x03\x04 not a zip")
    assert refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old excel")
    assert refused(b"")
    assert refused(b"a,b\n")
    assert refused(b"\xff\x00\x01binary")
    assert refused(b"a\n" + b"1\n" * (reading.MOST_ROWS + 1))
    assert refused(b"x" * (reading.MOST_BYTES + 1))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "<!DOCTYPE x [<!ENTITY a 'b'>]><Types>&a;</Types>")
    assert refused(out.getvalue())


def test_a_formula_is_read_as_its_value_and_a_guarded_text_as_the_text():
    book = openpyxl.Workbook()
    book.active.append(["code", "name"])
    book.active.append(["a", "=1+1"])
    out = io.BytesIO()
    book.save(out)
    assert reading.read(out).rows == [(2, ["a", None])]
    assert reading.read(io.BytesIO(b"a,b\n'+84 1,x")).rows == [(2, ["+84 1", "x"])]
    assert reading.read(io.BytesIO("a\tb\n1\t2".encode("utf-16"))).rows == [(2, ["1", "2"])]


def test_a_preview_takes_a_bounded_number_of_queries(province, django_assert_max_num_queries):
    rows = [f"u{number},Đơn vị {number},commune,tieu-ban" for number in range(300)]
    staged = imports.stage(province.admin, "units", csv_file("code,name,kind,parent", *rows))
    with django_assert_max_num_queries(12):
        assert imports.preview(province.admin, staged).counts["create"] == 300


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_units_as_saved_are_unchanged_when_imported(province, signed_in, language, kind):
    Unit.objects.filter(code="xa-mau").update(phone="+84 1", short_name="=XM")
    saved = b"".join(signed_in(province.admin, language).get(f"/units/?export={kind}").streaming_content)
    _staged, seen = look(province.admin, "units", SimpleUploadedFile(f"units.{kind}", saved))
    assert seen.errors == []
    assert set(kinds(seen)) == {"same"}
