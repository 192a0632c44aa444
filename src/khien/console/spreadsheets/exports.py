"""A list as XLSX or CSV: written row by row to a temporary file, recorded in the audit trail, then sent."""

from __future__ import annotations

import codecs
import csv
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from io import TextIOWrapper
from itertools import islice
from operator import attrgetter
from typing import IO, Any

import xlsxwriter
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _

from khien.console.audit.services import record
from khien.console.exports.progress import counted, in_worker, permitted
from khien.console.exports.services import later
from khien.console.files.responses import Pieces

FORMATS = ("xlsx", "csv")
ROWS_A_SHEET = 1_000_000
"""XLSX knows 1,048,576 rows; what is beyond goes on in a further sheet."""
MOST_AT_ONCE = 8_000
"""Rows that are written in about 2 s; of more, the file is made by the worker."""
_PORTION = 900
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_SHEET_NAME = str.maketrans(dict.fromkeys("[]:*?/\\'", " "))
_CONTENT_TYPES = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
}

Column = tuple[Any, str | Callable[[Any], Any]]
"""A label, and an attribute's name (`unit.name` too) or a function of the row. Methods are called."""


class _Export(Pieces, FileResponse):
    """Sent piece by piece: a long list is never whole in memory."""


def export_response(
    request: HttpRequest, filename: str, title: Any, columns: Sequence[Column], rows: Iterable[Any]
) -> HttpResponseBase:
    """The rows as a file to save, in the format `?export=` names: xlsx (also for unknown ones) or csv.

    `filename`: without ending; the day is added. `rows`: begin with `.visible_to(user)`; a query set is read in
    chunks, so its `prefetch_related` works and memory stays bounded. Cells are text, numbers, truth, dates and times
    (in local time); text is never taken for a formula. Recorded as `export`, with the query and how many rows.
    A long list is made by the worker; the answer then leads to the page of files being made.
    """
    permitted()
    kind = request.GET.get("export", "")
    kind = kind if kind in FORMATS else "xlsx"
    if (coming := _coming(rows)) is None:
        return later(request, f"{title} ({kind.upper()})")
    getters = [_getter(source) for _label, source in columns]
    table = ([get(row) for get in getters] for row in coming)
    labels = [str(label) for label, _source in columns]
    file = tempfile.TemporaryFile()
    count = write_table(file, kind, str(title), labels, table)
    record(
        request.user,
        "export",
        after={
            "list": filename,
            "title": str(title),
            "format": kind,
            "count": count,
            "query": request.GET.urlencode(),
        },
    )
    file.seek(0)
    stamp = timezone.localtime().strftime("%Y%m%d-%H%M")
    return _Export(file, as_attachment=True, filename=f"{filename}-{stamp}.{kind}", content_type=_CONTENT_TYPES[kind])


def _coming(rows: Iterable[Any]) -> Iterable[Any] | None:
    """The rows, read a few at a time; None where there are more than a request should write."""
    if in_worker():
        if isinstance(rows, QuerySet):
            numbers = list(dict.fromkeys(rows.values_list("pk", flat=True)))
            return counted(_portions(rows, numbers), len(numbers))
        return counted(rows, len(rows) if isinstance(rows, Sequence) else 0)
    if isinstance(rows, QuerySet):
        longer = rows[MOST_AT_ONCE : MOST_AT_ONCE + 1].exists()
        return None if longer else rows.iterator(chunk_size=2000)
    first = list(islice(rows, MOST_AT_ONCE + 1))
    return None if len(first) > MOST_AT_ONCE else first


def _portions(rows: QuerySet[Any], numbers: list[Any]) -> Iterator[Any]:
    """The rows of these keys, without a cursor that stays open: SQLite would refuse to write beside one that is old."""
    for at in range(0, len(numbers), _PORTION):
        yield from list(rows.filter(pk__in=numbers[at : at + _PORTION]))


def write_table(out: IO[bytes], kind: str, title: str, labels: list[str], table: Iterable[list[Any]]) -> int:
    """Write a table into an open file as `xlsx` or `csv`; how many rows it has."""
    return _write_csv(out, labels, table) if kind == "csv" else _write_xlsx(out, title, labels, table)


def _getter(source: str | Callable[[Any], Any]) -> Callable[[Any], Any]:
    if callable(source):
        return source
    steps = [attrgetter(step) for step in source.split(".")]

    def get(row: Any) -> Any:
        for step in steps:
            if row is None:
                return None
            row = step(row)
            if callable(row):
                row = row()
        return row

    return get


def _plain(value: Any) -> str | int | float | bool | date | None:
    """What a cell can hold."""
    if isinstance(value, datetime):
        return timezone.localtime(value).replace(tzinfo=None) if timezone.is_aware(value) else value
    if value is None or isinstance(value, (bool, date)):
        return value
    if type(value) in (int, float) and abs(value) < 10**15:  # a spreadsheet knows 15 digits
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(str(each) for each in value)
    return str(value)


def guarded(text: str) -> str:
    """Text that a spreadsheet will not take for a formula when it opens a CSV file."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _write_csv(out: IO[bytes], labels: list[str], table: Iterable[list[Any]]) -> int:
    out.write(codecs.BOM_UTF8)
    text = TextIOWrapper(out, encoding="utf-8", errors="replace", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow([guarded(label) for label in labels])
    count = 0
    for count, row in enumerate(table, start=1):  # noqa: B007
        writer.writerow([_csv_cell(_plain(value)) for value in row])
    text.detach()
    return count


def _csv_cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    return guarded(value) if isinstance(value, str) else value


def _write_xlsx(out: IO[bytes], title: str, labels: list[str], table: Iterable[list[Any]]) -> int:
    book = xlsxwriter.Workbook(
        out,
        {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
            "nan_inf_to_errors": True,
            "default_date_format": "dd/mm/yyyy hh:mm:ss",
        },
    )
    book.set_properties({"title": title, "comments": "Khiên"})
    header = book.add_format({"bold": True, "bg_color": "#E3F1F0", "bottom": 1, "text_wrap": True, "valign": "top"})
    day = book.add_format({"num_format": "dd/mm/yyyy"})
    rows = iter(table)
    count = number = 0
    while True:
        number += 1
        name = (title.translate(_SHEET_NAME).strip() or "Khien")[:26] + (f" {number}" if number > 1 else "")
        written = _write_sheet(book.add_worksheet(name), labels, rows, header, day)
        count += written
        if written < ROWS_A_SHEET:
            break
    book.close()
    return count


def _write_sheet(sheet: Any, labels: list[str], rows: Iterator[list[Any]], header: Any, day: Any) -> int:
    widths = [len(label) + 4 for label in labels]
    for place, label in enumerate(labels):
        sheet.write_string(0, place, label, header)
    number = 0
    for row in rows:
        number += 1
        for place, value in enumerate(row):
            value = _plain(value)
            if value is None or value == "":
                continue
            if isinstance(value, bool):
                value = _("Yes") if value else _("No")
            if isinstance(value, str):
                sheet.write_string(number, place, value[:32_767])
            elif isinstance(value, datetime):
                sheet.write_datetime(number, place, value)
            elif isinstance(value, date):
                sheet.write_datetime(number, place, value, day)
            else:
                sheet.write(number, place, value)
            if number <= 500:
                widths[place] = max(widths[place], 19 if isinstance(value, datetime) else len(str(value)) + 1)
        if number == ROWS_A_SHEET:
            break
    for place, width in enumerate(widths):
        sheet.set_column(place, place, min(width, 60))
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, number, len(labels) - 1)
    return number
