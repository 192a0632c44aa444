"""Lists as files: what stands in them, that nothing in them is run, and that the trail knows."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import openpyxl
import pytest
from django.test import RequestFactory

from khien.console.accounts.models import User
from khien.console.audit.models import Entry
from khien.console.files.responses import Pieces
from khien.console.spreadsheets import exports
from khien.console.spreadsheets.exports import export_response
from khien.console.units.models import Unit

pytestmark = pytest.mark.django_db
COLUMNS = [("Name", "name"), ("Kind", "kind.name_vi"), ("Calls", lambda unit: f"={unit.code}")]


def ask(user: User, query: str):
    request = RequestFactory().get(f"/units/?{query}")
    request.user = user
    return request


def content(response) -> bytes:
    return b"".join(response.streaming_content)


def sheet(response):
    return openpyxl.load_workbook(io.BytesIO(content(response))).active


def test_a_list_is_saved_as_xlsx_with_a_frozen_header_and_a_filter(province):
    rows = Unit.objects.visible_to(province.health).select_related("kind")
    response = export_response(ask(province.health, "export=xlsx"), "units", "Units: all/of them", COLUMNS, rows)
    assert response["Content-Disposition"].startswith('attachment; filename="units-')
    made = sheet(response)
    assert [[cell.value for cell in row] for row in made.rows] == [
        ["Name", "Kind", "Calls"],
        ["Bệnh viện tỉnh (mẫu)", "Bệnh viện", "=benh-vien"],
        ["Sở Y tế (mẫu)", "Sở", "=so-y-te"],
    ]
    assert made["C2"].data_type == "s"  # a text, not a formula
    assert made.freeze_panes == "A2"
    assert made.auto_filter.ref == "A1:C3"
    assert made.title == "Units  all of them"


def test_csv_has_a_byte_order_mark_and_guards_against_formulas(province):
    rows = [{"v": each} for each in ("=1+1", "+1", "-1", "@a", "\tx", "plain", -1, None, True, date(2026, 3, 1))]
    response = export_response(ask(province.health, "export=csv"), "x", "X", [("=Label", lambda row: row["v"])], rows)
    data = content(response)
    assert data.startswith(b"\xef\xbb\xbf")
    cells = [row[0] for row in csv.reader(io.StringIO(data.decode("utf-8-sig")))]
    assert cells == ["'=Label", "'=1+1", "'+1", "'-1", "'@a", "'\tx", "plain", "-1", "", "Có", "2026-03-01"]


def test_times_are_local(province):
    when = datetime(2026, 3, 1, 20, 30, tzinfo=UTC)
    made = sheet(export_response(ask(province.health, "export=xlsx"), "x", "X", [("At", lambda row: row)], [when]))
    assert made["A2"].value == datetime(2026, 3, 2, 3, 30)
    assert made["A2"].is_date


def test_an_export_is_in_the_trail_with_its_query_and_count(province):
    content(export_response(ask(province.health, "kind=sở&export=csv"), "units", "Units", COLUMNS, Unit.objects.all()))
    entry = Entry.objects.latest("number")
    assert (entry.action, entry.actor) == ("export", province.health)
    assert entry.after["count"] == 7
    assert entry.after["format"] == "csv"
    assert "kind=" in entry.after["query"]


def test_what_does_not_fit_one_sheet_goes_on_in_the_next(province, monkeypatch):
    monkeypatch.setattr(exports, "ROWS_A_SHEET", 3)
    response = export_response(ask(province.health, ""), "n", "N", [("n", lambda row: row)], range(7))
    book = openpyxl.load_workbook(io.BytesIO(content(response)))
    assert book.sheetnames == ["N", "N 2", "N 3"]
    assert [sheet.max_row for sheet in book] == [4, 4, 2]


def test_an_export_of_a_query_set_makes_a_bounded_number_of_queries(province, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        content(export_response(ask(province.health, ""), "u", "U", COLUMNS, Unit.objects.select_related("kind")))


def test_a_long_list_is_sent_piece_by_piece_under_asgi(province):
    response = export_response(ask(province.chair, "export=csv"), "units", "Units", COLUMNS, Unit.objects.all())
    assert isinstance(response, Pieces)
