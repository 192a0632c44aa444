"""An exported incident as a document to read: built from the content of the export, in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from khien.console.directives.models import TaskState
from khien.console.frame.templatetags.khien import level_name
from khien.console.incidents import catalogue, observables
from khien.console.incidents.models import ClockState, EntryKind, Handling, IncidentStatus, IndicatorKind
from khien.console.units.office import office
from khien.documents.document import Annex, Block, Clause, Document, Language, Paragraph, Section, Table
from khien.documents.wording import HERE, short_moment

MOST_ROWS = 2_000
"""Rows of a table that are set in Word and PDF; the JSON export has all."""
_URL = re.compile(r"\b(https?|ftp)://([^\s/?#]+)", re.I)


def incident_document(content: dict[str, Any]) -> Document:
    """The content of an export (`exports.incident_content`) as a document."""
    english = (get_language() or "").startswith("en")
    language: Language = "en" if english else "vi"
    head = office(language=language)
    sections = [
        Section(_("Summary").upper(), [_summary(content)]),
        *_told(_("Description").upper(), content["description"]),
        *_outcome(content),
        *_listed(_("Legal deadlines").upper(), _clocks(content, language)),
        *_listed(_("Timeline").upper(), _timeline(content)),
        *_listed(_("Alerts").upper(), _alerts(content)),
        *_listed(_("Indicators").upper(), _indicators(content)),
        *_listed(_("Tasks").upper(), _tasks(content)),
        *_listed(_("Evidence").upper(), _evidence(content)),
    ]
    return Document(
        issuer=head.issuer,
        parent=head.parent,
        place=head.place,
        date=_when(content["exported_at"]).astimezone(HERE).date(),
        kind=_("Incident file"),
        abstract=f"{content['number']}: {defanged(content['title'])}",
        body=sections,
        annexes=_custody(content),
        language=language,
        large=False,
        marking=content["tlp"],
    )


def defanged(text: str) -> str:
    """Running text in which no viewer finds an address to open."""

    def harmless(match: re.Match[str]) -> str:
        scheme = match[1].lower().replace("http", "hxxp").replace("ftp", "fxp")
        return f"{scheme}[://]{match[2].replace('.', '[.]')}"

    return _URL.sub(harmless, text)


def _when(value: str) -> datetime:
    return datetime.fromisoformat(value)


def _short(value: str | None) -> str:
    return short_moment(_when(value)) if value else "–"


def _label(choices: Any, value: str) -> str:
    return str(choices(value).label) if value in choices.values else value


def _summary(content: dict[str, Any]) -> Table:
    flags = [
        words
        for name, words in (
            ("serious", _("Serious")),
            ("urgent", _("Urgent")),
            ("personal_data", _("Personal data affected")),
        )
        if content[name]
    ]
    systems = [
        _("%(name)s (level %(level)s, %(unit)s)")
        % {"name": each["name"], "level": each["level"], "unit": each["unit"]["name"]}
        for each in content["systems"]
    ]
    rows = [
        (_("Number"), content["number"]),
        (_("Title"), defanged(content["title"])),
        (_("Severity"), ", ".join([level_name(content["level"]), *flags])),
        (_("Class"), str(catalogue.working_class_label(content["class"]))),
        (_("RSIT class"), str(catalogue.class_label(content["rsit"])) if content["rsit"] else ""),
        (_("State"), _label(IncidentStatus, content["state"])),
        ("TLP", content["tlp"]),
        (_("Leading unit"), content["unit"]["name"]),
        (_("Affected units"), "\n".join(unit["name"] for unit in content["units"])),
        (_("Affected systems"), "\n".join(systems)),
        (_("Leader"), content["leader"]),
        (_("Team"), "\n".join(content["team"])),
        (_("Detected"), _short(content["detected_at"])),
        (_("Opened"), f"{_short(content['opened_at'])} {content['opened_by']}"),
        (_("Closed"), _short(content["closed_at"])),
        (_("Related incidents"), "\n".join(f"{each['number']} {each['title']}" for each in content["related"])),
        (_("Exported"), f"{_short(content['exported_at'])} {content['exported_by']}"),
    ]
    return Table((), [(name, value or "–") for name, value in rows], (1, 2.4))


def _told(title: str, text: str) -> list[Section]:
    return [Section(title, [Paragraph(defanged(text))])] if text.strip() else []


def _outcome(content: dict[str, Any]) -> list[Section]:
    parts = [(_("Cause"), content["cause"]), (_("Effect"), content["effect"]), (_("Lessons"), content["lessons"])]
    clauses = [Clause(defanged(text), title) for title, text in parts if text.strip()]
    return [Section(_("Cause, effect and lessons").upper(), clauses)] if clauses else []


def _listed(title: str, table: Table) -> list[Section]:
    """A table under its title, told to be shortened where it is; "none" where it is empty."""
    if not table.rows:
        return [Section(title, [Paragraph(_("None."))])]
    blocks: list[Block] = [Table(table.columns, list(table.rows)[:MOST_ROWS], table.widths)]
    if len(table.rows) > MOST_ROWS:
        words = _("The first %(n)s of %(all)s; the JSON export has all.")
        blocks.append(Paragraph(words % {"n": MOST_ROWS, "all": len(table.rows)}))
    return [Section(title, blocks)]


def _clocks(content: dict[str, Any], language: Language) -> Table:
    rows = [
        (
            f"{each['label'][language]}\n{each['basis']}",
            _short(each["due_at"]),
            _label(ClockState, each["state"]),
            _lines(
                _short(each["sent_at"]) if each["sent_at"] else "",
                each["document_number"],
                each["recipient"],
                each["reason"],
            ),
        )
        for each in content["clocks"]
    ]
    return Table((_("Report"), _("Due"), _("State"), _("Sent, number, recipient")), rows, (3, 1.9, 1.4, 2.4))


def _timeline(content: dict[str, Any]) -> Table:
    rows = []
    for each in content["timeline"]:
        mail = each["mail"]
        head = f"{mail.get('from', '')} → {mail.get('to', '')}: {mail.get('subject', '')}" if mail else ""
        rows.append(
            (_short(each["at"]), _label(EntryKind, each["kind"]), defanged(_lines(head, each["text"])), each["by"])
        )
    return Table((_("Time"), _("Kind"), _("What happened"), _("Done by")), rows, (2, 1.4, 4.4, 1.6))


def _alerts(content: dict[str, Any]) -> Table:
    rows = [
        (
            _short(each["first_at"]),
            level_name(each["level"]),
            defanged(each["title"]),
            observables.defang(observables.detect(each["entity"]), each["entity"]),
            str(each["count"]),
        )
        for each in content["alerts"]
    ]
    return Table((_("First"), _("Level"), _("What happened"), _("Entity"), _("Count")), rows, (2, 1.3, 3.5, 2.1, 0.9))


def _indicators(content: dict[str, Any]) -> Table:
    rows = [
        (_label(IndicatorKind, each["kind"]), each["defanged"], each["tlp"], defanged(each["note"]))
        for each in content["indicators"]
    ]
    return Table((_("Kind"), _("Value (made harmless)"), "TLP", _("Note")), rows, (1.5, 3.6, 2.3, 1.8))


def _tasks(content: dict[str, Any]) -> Table:
    rows = [
        (
            defanged(each["title"]),
            _lines(each["unit"]["name"] if each["unit"] else "", each["assignee"]),
            _short(each["due_at"]),
            f"{_label(TaskState, each['state'])} ({each['progress']} %)",
        )
        for each in content["tasks"]
    ]
    return Table((_("Task"), _("Unit"), _("Due"), _("State")), rows, (3.2, 2.2, 1.9, 1.9))


def _evidence(content: dict[str, Any]) -> Table:
    rows = [
        (
            each["label"],
            _lines(each["name"], f"{each['size']:,}".replace(",", " ") + " " + _("bytes"), each["description"]),
            each["sha256"],
            _lines(_short(each["collected_at"]), each["collected_where"], each["collected_by"])
            + (f"\n{_('Withdrawn')}: {each['withdrawn_reason']}" if each["withdrawn_at"] else ""),
        )
        for each in content["evidence"]
    ]
    return Table((_("No."), _("File"), "SHA-256", _("Collected")), rows, (0.9, 3, 2.8, 2.3))


def _custody(content: dict[str, Any]) -> Sequence[Annex]:
    """The chain of custody of each piece, as an annex."""
    blocks: list[Block] = []
    for each in content["evidence"]:
        blocks.append(Clause(title=f"{each['label']} {each['name']}"))
        rows = [
            (
                _short(entry["at"]),
                _label(Handling, entry["what"])
                + (f": {entry['to']}" if entry["to"] else "")
                + _intact(entry["intact"]),
                entry["by"],
                entry["reason"],
            )
            for entry in each["custody"][:MOST_ROWS]
        ]
        blocks.append(Table((_("Time"), _("What was done"), _("Done by"), _("Reason")), rows, (2, 2.4, 1.8, 3)))
    return [Annex(_("Chain of custody"), blocks)] if blocks else []


def _intact(intact: bool | None) -> str:
    return "" if intact is None else f" ({_('Intact') if intact else _('Damaged')})"


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)
