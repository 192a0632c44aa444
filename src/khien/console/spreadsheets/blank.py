"""The file to fill in: the columns by name, and a second sheet that says what goes into them."""

from __future__ import annotations

from typing import IO

import xlsxwriter
from django.utils.translation import gettext as _

from khien.console.spreadsheets.importers import Importer


def write_template(out: IO[bytes], importer: Importer) -> None:
    """An XLSX file with the importer's columns."""
    book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    bold = book.add_format({"bold": True, "bg_color": "#E3F1F0", "bottom": 1})
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    sheet = book.add_worksheet(str(importer.title)[:31])
    notes = book.add_worksheet(_("How to fill in")[:31])
    for place, label in enumerate((_("Column"), _("Required"), _("What to write"), _("Example"))):
        notes.write_string(0, place, label, bold)
    for place, column in enumerate(importer.columns):
        sheet.write_string(0, place, str(column.label) + (" *" if column.required else ""), bold)
        notes.write_string(place + 1, 0, str(column.label), wrap)
        notes.write_string(place + 1, 1, _("Yes") if column.required else "", wrap)
        notes.write_string(place + 1, 2, str(column.hint), wrap)
        notes.write_string(place + 1, 3, column.example, wrap)
    sheet.set_column(0, len(importer.columns) - 1, 24, book.add_format({"num_format": "@"}))
    sheet.freeze_panes(1, 0)
    notes.set_column(0, 3, 32)
    book.close()
