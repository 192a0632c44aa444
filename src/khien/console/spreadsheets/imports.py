"""An import's preview, and applying it: all rows or none, and only what was seen."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.models import Entry
from khien.console.audit.services import hold_trail, record
from khien.console.concurrency import locked
from khien.console.files.services import keep, open_file, received
from khien.console.spreadsheets.importers import Column, Importer, Known, importers, shown, text
from khien.console.spreadsheets.models import Import
from khien.console.spreadsheets.reading import MOST_BYTES, Sheet, column_name, read
from khien.console.units.naming import fold

CREATE, CHANGE, SAME, WRONG = "create", "change", "same", "wrong"
_KEYS_RECORDED = 200


@dataclass(slots=True)
class Cell:
    """A cell of the preview: what is there now, what will be, what is wrong."""

    name: str
    label: str
    before: str = ""
    after: str = ""
    error: str = ""

    @property
    def changed(self) -> bool:
        """Whether the row makes it another one."""
        return self.before != self.after


@dataclass(slots=True)
class Row:
    """A row of the preview. `kind`: CREATE, CHANGE, SAME or WRONG."""

    number: int
    kind: str
    cells: list[Cell]
    thing: Any = None
    values: dict[str, Any] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Preview:
    """What an import would do. `errors`: of the whole file, and of cells, each beginning with the cell's name.

    `refused`: keys that cannot be had; whose they are, or that they are somebody's, the person is not told.
    """

    columns: list[Column]
    rows: list[Row]
    errors: list[str]
    counts: dict[str, int]
    digest: str
    refused: frozenset[str] = frozenset()

    @property
    def ready(self) -> bool:
        """Whether there is something to apply and nothing wrong."""
        return not self.errors and bool(self.counts[CREATE] or self.counts[CHANGE])


class Outdated(Exception):
    """The data has changed since the preview. `preview`: the new one."""

    def __init__(self, preview: Preview) -> None:
        super().__init__("the preview is outdated")
        self.preview = preview


def importer_of(user: User, name: str) -> Importer:
    """An importer that a person may use. Raises KeyError, Forbidden."""
    importer = importers()[name]
    demand(user, importer.capability)
    return importer


def stage(by: User, name: str, upload: UploadedFile) -> Import:
    """Keep an uploaded table for its preview. Raises ValidationError when it cannot be read."""
    importer = importer_of(by, name)
    read(upload.file)
    upload.seek(0)
    with received([upload], most=MOST_BYTES) as (arrived,), transaction.atomic():
        hold_trail()
        stored = keep(arrived, by)
        staged = Import.objects.create(importer=importer.name, file=stored, by=by)
        record(by, "import.upload", staged, after={"importer": name, "file": stored.name, "sha256": stored.sha256})
    return staged


def preview(user: User, staged: Import) -> Preview:
    """What an import would do now. Raises ValidationError when the file cannot be read."""
    importer = importer_of(user, staged.importer)
    with open_file(staged.file) as file:
        found = _preview(user, importer, read(file))
    if found.refused:
        _record_refused(user, staged, found.refused)
    return found


def apply(by: User, pk: int, digest: str) -> Import:
    """Write what the preview with this digest showed, all or nothing.

    Raises Outdated when the data has changed since, ValidationError when a row is refused: then nothing is written.
    """
    with transaction.atomic():
        staged = locked(Import, pk, None, by=by)
        importer = importer_of(by, staged.importer)
        if staged.applied_at is not None:
            raise ValidationError(_("This file has already been imported."))
        seen = preview(by, staged)
        if seen.digest != digest or not seen.ready:
            raise Outdated(seen)
        for row in importer.ordered(row for row in seen.rows if row.kind in (CREATE, CHANGE)):
            try:
                importer.apply(by, row.thing, row.values, row.changed)
            except ValidationError as error:
                said = " ".join(error.messages)
                raise ValidationError(
                    _("Row %(row)s: %(said)s Nothing was imported.") % {"row": row.number, "said": said}
                ) from error
        staged.applied_at = timezone.now()
        staged.result = seen.counts
        staged.version += 1
        staged.save()
        record(by, "import.apply", staged, after={"importer": importer.name, **seen.counts})
    return staged


def _preview(user: User, importer: Importer, sheet: Sheet) -> Preview:
    places, errors = _places(importer, sheet.header)
    known = Known.of(user)
    columns = [column for column in importer.columns if column.key in places]
    keys: list[str] = []
    if importer.key in places:
        keys = [fold(text(cells[places[importer.key]])) for _number, cells in sheet.rows]
    known.keys = set(keys)
    existing = importer.existing(user, known.keys)
    taken = importer.taken(user, known.keys - set(existing))
    known.keys -= taken
    often = Counter(keys)
    rows: list[Row] = []
    for place, (number, raw) in enumerate(sheet.rows if not errors else ()):
        key = keys[place] if keys else ""
        row = _row(importer, known, columns, places, number, raw, existing.get(key) if key else None)
        if key and (often[key] > 1 or key in taken):
            cell = next(cell for cell in row.cells if cell.name.startswith(column_name(places[importer.key])))
            twice = _("This stands in more than one row.")
            cell.error = cell.error or (twice if often[key] > 1 else _("This cannot be used here: choose another."))
        if any(cell.error for cell in row.cells):
            row.kind = WRONG
        rows.append(row)
    errors += [f"{cell.name}: {cell.error}" for row in rows for cell in row.cells if cell.error]
    counts = {kind: sum(row.kind == kind for row in rows) for kind in (CREATE, CHANGE, SAME, WRONG)}
    plan = [[row.number, row.kind, [[c.name, c.before, c.after, c.error] for c in row.cells]] for row in rows]
    digest = hashlib.sha256(json.dumps([errors, plan]).encode()).hexdigest()
    return Preview(columns, rows, errors, counts, digest, frozenset(taken))


def _record_refused(user: User, staged: Import, keys: frozenset[str]) -> None:
    """Keep, once a file, that somebody came upon what they do not see: so one sees who tries out codes or e-mails."""
    with transaction.atomic():
        hold_trail()
        if not Entry.objects.of_target(staged).filter(actor=user, action="import.refuse_keys").exists():
            after = {"importer": staged.importer, "keys": sorted(keys)[:_KEYS_RECORDED], "count": len(keys)}
            record(user, "import.refuse_keys", staged, after=after)


def _places(importer: Importer, header: list[str]) -> tuple[dict[str, int], list[str]]:
    """Where each column stands, and what is wrong with the header."""
    names = {name: column for column in importer.columns for name in column.names()}
    places: dict[str, int] = {}
    errors = []
    for place, said in enumerate(header):
        cell = f"{column_name(place)}1"
        column = names.get(fold(said.rstrip(" *")))
        if column is None:
            if said:
                errors.append(_("%(cell)s: there is no column “%(name)s” here.") % {"cell": cell, "name": said[:60]})
        elif column.key in places:
            errors.append(_("%(cell)s: the column “%(name)s” stands here twice.") % {"cell": cell, "name": said[:60]})
        else:
            places[column.key] = place
    errors += [
        _("The column “%(name)s” is missing.") % {"name": column.label}
        for column in importer.columns
        if column.key not in places and (column.required or column.key == importer.key)
    ]
    return places, errors


def _row(
    importer: Importer,
    known: Known,
    columns: list[Column],
    places: dict[str, int],
    number: int,
    raw: list[Any],
    thing: Any,
) -> Row:
    current = importer.current(thing) if thing is not None else {}
    row = Row(number, CREATE if thing is None else SAME, [], thing)
    for column in columns:
        value = raw[places[column.key]]
        before = shown(current.get(column.key)) if thing is not None else ""
        cell = Cell(f"{column_name(places[column.key])}{number}", str(column.label), before)
        try:
            if text(value) == "":
                if column.required:
                    raise ValueError(_("This must not be empty."))
                row.values[column.key] = column.default
            else:
                row.values[column.key] = column.parse(value, known)
            cell.after = shown(row.values[column.key])
        except ValueError as error:
            cell.after, cell.error = text(value)[:200], str(error)
        if cell.changed:
            row.changed.add(column.key)
        row.cells.append(cell)
    if not any(cell.error for cell in row.cells):
        wrong = importer.check(known, thing, row.values)
        for column, cell in zip(columns, row.cells, strict=True):
            cell.error = wrong.get(column.key, "")
        if left := [said for key, said in wrong.items() if key not in places]:
            row.cells[0].error = " ".join([row.cells[0].error, *left]).strip()
    if thing is not None and row.changed:
        row.kind = CHANGE
    return row
