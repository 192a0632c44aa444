"""Reading an uploaded table. It may be hostile: what it would unfold to is looked at before anything is unfolded."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import dataclass
from typing import Any, BinaryIO

import openpyxl
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MOST_BYTES = 5 << 20
MOST_UNZIPPED = 60 << 20
MOST_PARTS = 200
MOST_ROWS = 5000
MOST_COLUMNS = 60
_QUOTED = ("'=", "'+", "'-", "'@", "'\t", "'\r", "'\n")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as read. `rows`: the number of each row as the spreadsheet shows it, and its cells."""

    header: list[str]
    rows: list[tuple[int, list[Any]]]


def column_name(place: int) -> str:
    """A column's letters: 0 is A, 26 is AA."""
    name = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        name = chr(65 + rest) + name
    return name


def read(file: BinaryIO) -> Sheet:
    """The first sheet of an XLSX file, or a CSV file. Raises ValidationError when it is neither, or too large."""
    file.seek(0, io.SEEK_END)
    if file.tell() > MOST_BYTES:
        raise ValidationError(_("The file is larger than %(most)s MB.") % {"most": MOST_BYTES >> 20})
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if start.startswith(b"PK"):
        rows = _xlsx(file)
    elif start.startswith(b"\xd0\xcf\x11\xe0"):
        raise ValidationError(_("This is an old Excel file or one with a password: save it as .xlsx without one."))
    else:
        rows = _csv(file.read())
    return _table(rows)


def _table(rows: list[list[Any]]) -> Sheet:
    if not rows or not any(_filled(cell) for cell in rows[0]):
        raise ValidationError(_("The first row must name the columns."))
    header = ["" if cell is None else str(cell).strip() for cell in rows[0]]
    while header and not header[-1]:
        header.pop()
    body = [
        (number, (list(row) + [None] * len(header))[: len(header)])
        for number, row in enumerate(rows[1:], start=2)
        if any(_filled(cell) for cell in row)
    ]
    if not body:
        raise ValidationError(_("The file has no rows below the names of the columns."))
    if len(rows) > MOST_ROWS + 1:
        raise ValidationError(_("The file has more than %(most)s rows: split it.") % {"most": MOST_ROWS})
    return Sheet(header, body)


def _filled(cell: Any) -> bool:
    return cell is not None and str(cell).strip() != ""


def _xlsx(file: BinaryIO) -> list[list[Any]]:
    broken = ValidationError(_("The file is not a readable .xlsx file."))
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_UNZIPPED:
                raise ValidationError(_("The file unfolds to far more than a list of this kind."))
        file.seek(0)
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        try:
            sheet = book.worksheets[0]
            rows = sheet.iter_rows(max_row=MOST_ROWS + 2, max_col=MOST_COLUMNS, values_only=True)
            found = [list(row) for row in rows]
        finally:
            book.close()
    except ValidationError:
        raise
    except Exception as error:  # whatever a hostile file makes the reader stumble over
        raise broken from error
    while found and not any(_filled(cell) for cell in found[-1]):
        found.pop()
    return found


def _csv(data: bytes) -> list[list[Any]]:
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise ValidationError(_("The file is neither .xlsx nor CSV in UTF-8.")) from None
    if "\0" in text:
        raise ValidationError(_("The file is neither .xlsx nor CSV in UTF-8."))
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows: list[list[Any]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            rows.append([cell[1:] if cell.startswith(_QUOTED) else cell for cell in row[:MOST_COLUMNS]])
            if len(rows) > MOST_ROWS + 1:
                break
    except csv.Error:
        raise ValidationError(_("The file is neither .xlsx nor CSV in UTF-8.")) from None
    return rows
