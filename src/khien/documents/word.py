"""Official documents as Word files."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import docx
from docx.document import Document as WordFile
from docx.enum.section import WD_SECTION
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_ROW_HEIGHT_RULE, WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_LINE_SPACING, WD_TAB_ALIGNMENT
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.section import Section
from docx.shared import Mm, Pt, RGBColor
from docx.table import Table as WordTable
from docx.table import _Cell
from docx.text.paragraph import Paragraph
from docx.text.run import Run as WordRun

from khien.documents.document import Document, Run, Signature
from khien.documents.flow import Grid, Line, flow
from khien.documents.layout import Dress, Layout, layout
from khien.documents.marking import TLP_COLOURS
from khien.documents.measure import rule_width
from khien.documents.parts import (
    abstract_lines,
    annex_heading,
    annex_note,
    is_issued,
    issuer_lines,
    number_line,
    place_line,
    recipient_lines,
    signature_lines,
    subject_lines,
)
from khien.documents.wording import basis, clean, plain_name

_CENTRE, _LEFT, _JUSTIFY = WD_ALIGN_PARAGRAPH.CENTER, WD_ALIGN_PARAGRAPH.LEFT, WD_ALIGN_PARAGRAPH.JUSTIFY


def render_docx(document: Document) -> bytes:
    """The document as a Word file."""
    out = BytesIO()
    _Writer(document, layout(document.family)).write().save(out)
    return out.getvalue()


class _Writer:
    """Writes one document from top to bottom."""

    def __init__(self, document: Document, rules: Layout) -> None:
        self._document, self._rules = document, rules
        self._page = rules.page
        self._word: WordFile = docx.Document()

    def write(self) -> WordFile:
        """The file."""
        document, rules = self._document, self._rules
        self._properties()
        self._dress_page(self._word.sections[0])
        self._head()
        self._title()
        self._addressees()
        for position, each in enumerate(document.bases):
            line = Line((Run(clean(basis(each, position == len(document.bases) - 1))),))
            self._line(line, rules.text["bases"])
        for item in flow(document.body, rules, document.language, ended=is_issued(document)):
            self._item(item)
        self._foot()
        for position, annex in enumerate(document.annexes):
            self._begin_annex()
            self._centred(self._word, annex_heading(document, rules, position), rules.text["annex"])
            self._centred(self._word, annex.title, rules.text["title"])
            if note := annex_note(document, rules):
                self._centred(self._word, note, rules.text["annex_note"], after=12)
            for item in flow(annex.blocks, rules, document.language):
                self._item(item)
        return self._word

    def _properties(self) -> None:
        document, rules = self._document, self._rules
        properties = self._word.core_properties
        properties.title = clean(" ".join(part for part in (document.kind, document.abstract) if part))[:250]
        properties.author = properties.last_modified_by = clean(document.issuer)[:250]
        properties.comments = f"{rules.ruleset}"
        properties.language = "vi-VN" if document.language == "vi" else "en-GB"
        normal = self._word.styles["Normal"]
        normal.font.name = rules.font
        normal.font.size = Pt(rules.text["body"].size(document.large))
        normal.font.color.rgb = RGBColor(0, 0, 0)
        fonts = normal.element.rPr.rFonts
        for script in ("w:ascii", "w:hAnsi", "w:cs", "w:eastAsia"):
            fonts.set(qn(script), rules.font)
        for theme in ("w:asciiTheme", "w:hAnsiTheme", "w:cstheme", "w:eastAsiaTheme"):
            fonts.attrib.pop(qn(theme), None)
        form = normal.paragraph_format
        form.space_after = form.space_before = Pt(0)
        form.line_spacing = 1.0

    def _dress_page(self, section: Section) -> None:
        page = self._page
        section.page_width, section.page_height = Mm(page.width), Mm(page.height)
        section.top_margin, section.bottom_margin = Mm(page.top), Mm(page.bottom)
        section.left_margin, section.right_margin = Mm(page.left), Mm(page.right)
        section.header_distance = section.footer_distance = Mm(page.head)
        section.different_first_page_header_footer = True
        number = section.header.paragraphs[0]
        self._marking(number, with_number=True)
        for place in (section.first_page_header, section.footer, section.first_page_footer):
            self._marking(place.paragraphs[0], with_number=False)

    def _marking(self, paragraph: Paragraph, *, with_number: bool) -> None:
        """A line of the margin: the page number in its middle, the mark on its right."""
        paragraph.style = self._word.styles["Normal"]
        if not self._document.marking:
            if with_number:
                paragraph.alignment = _CENTRE
                self._page_number(paragraph)
            return
        stops = paragraph.paragraph_format.tab_stops
        stops.add_tab_stop(Mm(self._page.text_width / 2), WD_TAB_ALIGNMENT.CENTER)
        stops.add_tab_stop(Mm(self._page.text_width), WD_TAB_ALIGNMENT.RIGHT)
        paragraph.add_run("\t")
        if with_number:
            self._page_number(paragraph)
        paragraph.add_run("\t")
        mark = paragraph.add_run(f"\u00a0{clean(self._document.marking)}\u00a0")
        mark.bold = True
        mark.font.size = Pt(12)
        if colour := TLP_COLOURS.get(self._document.marking):
            mark.font.color.rgb = RGBColor.from_string(colour)
            _set(mark._r.get_or_add_rPr(), "w:shd", val="clear", color="auto", fill="000000")

    def _page_number(self, paragraph: Paragraph) -> None:
        dress = self._rules.text["page_number"]
        for kind, text in (("begin", ""), ("", " PAGE "), ("end", "")):
            run = paragraph.add_run()
            self._dress(run, dress)
            if kind:
                _add(run._r, "w:fldChar", fldCharType=kind)
            else:
                field = OxmlElement("w:instrText")
                field.set(qn("xml:space"), "preserve")
                field.text = text
                run._r.append(field)

    def _head(self) -> None:
        document, rules = self._document, self._rules
        left = self._page.issuer_column
        right = self._page.text_width - left
        table = self._columns((left, right), rows=2)
        issuer, nation = table.rows[0].cells
        parent_lines, issuer_text = issuer_lines(document, rules)
        if parent_lines:
            self._centred(issuer, parent_lines, rules.text["parent"])
        self._centred(issuer, issuer_text, rules.text["issuer"])
        if rules.issuer_mark == "star":
            self._centred(issuer, "*", rules.text["issuer"])
        else:
            self._rule(issuer, issuer_text, "issuer", left)
        name, motto = (rules.word(word, document.language) for word in ("national_name", "motto"))
        self._centred(nation, name, rules.text["national_name"])
        if motto:
            self._centred(nation, motto, rules.text["motto"])
            self._rule(nation, motto, "motto", right)
        else:
            self._rule(nation, name, "motto", right, "national_name")
        number, place = table.rows[1].cells
        if line := number_line(document, rules):
            self._centred(number, line, rules.text["number"], before=6)
        if not document.kind and document.abstract:
            self._centred(number, subject_lines(document, rules), rules.text["subject"], before=rules.subject_gap)
        if document.urgency:
            self._stamp(number)
        if line := place_line(document):
            self._centred(place, line, rules.text["place_date"], before=6)
        _drop_first(table)

    def _stamp(self, cell: _Cell) -> None:
        """The urgency in a red frame of its size, in the middle of the column."""
        words, width, height = self._rules.stamps[str(self._document.urgency)]
        self._gap(cell, 6)
        table = cell.add_table(1, 1)
        table.alignment = WD_TABLE_ALIGNMENT.CENTER
        _no_margins(table)
        self._fix(table, (width,))
        table.rows[0].height, table.rows[0].height_rule = Mm(height), WD_ROW_HEIGHT_RULE.EXACTLY
        box = table.rows[0].cells[0]
        _borders(box._tc.get_or_add_tcPr(), "w:tcBorders", self._rules.stamp_colour, 12)
        box.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.CENTER
        run = self._centred(box, words, self._rules.text["urgency"]).runs[0]
        run.font.color.rgb = RGBColor.from_string(self._rules.stamp_colour)
        _drop_first(table)
        self._gap(cell, 2)

    def _title(self) -> None:
        document, rules = self._document, self._rules
        if not document.kind:
            return
        self._centred(self._word, document.kind, rules.text["title"], before=18)
        if document.abstract:
            abstract = abstract_lines(document, rules)
            self._centred(self._word, abstract, rules.text["abstract"])
            self._rule(self._word, abstract, "abstract", self._page.text_width)
        self._gap(self._word, 12)

    def _addressees(self) -> None:
        document, rules = self._document, self._rules
        if not document.addressees:
            return
        word = rules.word("to", document.language)
        dress = rules.text["addressee"]
        if len(document.addressees) == 1:
            self._centred(self._word, f"{word} {document.addressees[0]}", dress, before=12, after=12)
            return
        indent = Mm(self._page.text_width * 0.2)
        for position, each in enumerate((word, *document.addressees)):
            last = position == len(document.addressees)
            text = word if position == 0 else f"- {each}{'.' if last else ';'}"
            paragraph = self._paragraph(self._word, (Run(clean(text)),), dress)
            paragraph.paragraph_format.left_indent = indent if position == 0 else indent + Mm(10)
            paragraph.paragraph_format.space_before = Pt(12 if position == 0 else 0)
            paragraph.paragraph_format.space_after = Pt(12 if last else 2)

    def _item(self, item: Line | Grid) -> None:
        if isinstance(item, Grid):
            self._grid(item)
        else:
            self._line(item, self._rules.text["heading" if item.role == "heading" else "body"])

    def _line(self, line: Line, dress: Dress) -> None:
        paragraph = self._paragraph(self._word, line.runs, dress)
        form = paragraph.paragraph_format
        form.alignment = _CENTRE if line.role == "centred" else _JUSTIFY
        if line.role in ("text", "heading"):
            form.first_line_indent = Mm(self._rules.first_line)
        form.space_after = Pt(self._rules.after)
        form.line_spacing = self._rules.spacing
        form.keep_with_next = line.keep
        form.widow_control = True

    def _grid(self, grid: Grid) -> None:
        table = self._word.add_table(0, len(grid.widths))
        table.style = self._word.styles["Table Grid"]
        dress = self._rules.text["table"]
        if grid.columns:
            head = table.add_row()
            _set(head._tr.get_or_add_trPr(), "w:tblHeader")
            for cell, name in zip(head.cells, grid.columns, strict=True):
                self._paragraph(cell, (Run(name, bold=True),), dress).alignment = _CENTRE
        for row in grid.rows:
            added = table.add_row()
            _set(added._tr.get_or_add_trPr(), "w:cantSplit")
            for cell, runs in zip(added.cells, row, strict=True):
                form = self._paragraph(cell, runs, dress).paragraph_format
                form.space_before = form.space_after = Pt(2)
        self._fix(table, [share * self._page.text_width for share in grid.widths])
        _drop_first(table)
        self._gap(self._word, self._rules.after)

    def _foot(self) -> None:
        document = self._document
        if not (document.signature or document.recipients or document.archive):
            return
        self._gap(self._word, 6)
        left = self._page.recipients_column
        widths = (left, self._page.text_width - left)
        if document.co_signature:
            signing = self._columns(widths, rows=1)
            self._signed(signing.rows[0].cells[0], document.co_signature)
            self._signed(signing.rows[0].cells[1], document.signature)
            _drop_first(signing)
            self._gap(self._word, 12)
        table = self._columns(widths, rows=1)
        _set(table.rows[0]._tr.get_or_add_trPr(), "w:cantSplit")
        recipients, signature = table.rows[0].cells
        if document.recipients or document.archive:
            head = (Run(self._rules.word("recipients", document.language)),)
            self._paragraph(recipients, head, self._rules.text["recipients_head"])
            for each in recipient_lines(document, self._rules):
                self._paragraph(recipients, (Run(each),), self._rules.text["recipients"])
        if not document.co_signature:
            self._signed(signature, document.signature)
        _drop_first(table)

    def _signed(self, cell: _Cell, signature: Signature | None) -> None:
        """Right, position, room for the signature, name."""
        if signature is None:
            return
        for each in signature_lines(signature):
            self._centred(cell, each, self._rules.text["authority"])
        for _ in range(4):
            self._centred(cell, "", self._rules.text["signer"])
        self._centred(cell, plain_name(signature.name), self._rules.text["signer"])

    def _begin_annex(self) -> None:
        section = self._word.add_section(WD_SECTION.NEW_PAGE)
        section.different_first_page_header_footer = True
        start = OxmlElement("w:pgNumType")
        start.set(qn("w:start"), "1")
        later = (
            "w:cols",
            "w:formProt",
            "w:vAlign",
            "w:noEndnote",
            "w:titlePg",
            "w:textDirection",
            "w:bidi",
            "w:docGrid",
        )
        section._sectPr.insert_element_before(start, *later)

    def _columns(self, widths: Sequence[float], rows: int) -> WordTable:
        """A table without borders, for what stands side by side."""
        table: WordTable = self._word.add_table(rows, len(widths))
        self._fix(table, widths)
        _no_margins(table)
        return table

    def _fix(self, table: WordTable, widths: Sequence[float]) -> None:
        """Columns of given widths in millimetres, whatever is in them."""
        table.autofit = False
        for column, width in zip(table.columns, widths, strict=True):
            column.width = Mm(width)
        for row in table.rows:
            for cell, width in zip(row.cells, widths, strict=True):
                cell.width = Mm(width)

    def _centred(self, into: Any, text: str, dress: Dress, *, before: float = 0, after: float = 0) -> Paragraph:
        paragraph = self._paragraph(into, (Run(clean(text)),), dress)
        form = paragraph.paragraph_format
        form.alignment, form.space_before, form.space_after = _CENTRE, Pt(before), Pt(after)
        return paragraph

    def _paragraph(self, into: Any, runs: Sequence[Run], dress: Dress) -> Paragraph:
        paragraph: Paragraph = into.add_paragraph()
        for part in runs:
            run = paragraph.add_run(part.text.upper() if dress.capitals else part.text)
            self._dress(run, dress)
            run.bold, run.italic = dress.bold or part.bold, dress.italic or part.italic
        return paragraph

    def _dress(self, run: WordRun, dress: Dress) -> None:
        run.font.size = Pt(dress.size(self._document.large))
        run.bold, run.italic = dress.bold, dress.italic

    def _rule(self, into: Any, text: str, name: str, available: float, element: str = "") -> None:
        """A rule under centred text: the lower border of an empty line, drawn in from both sides."""
        dress = self._rules.text[element or name]
        shown = clean(text.upper() if dress.capitals else text)
        width = rule_width(shown, dress.size(self._document.large), self._rules.rules[name], available)
        paragraph = self._gap(into, 3)
        form = paragraph.paragraph_format
        form.left_indent = form.right_indent = Mm(max(0.0, (available - width) / 2))
        borders = OxmlElement("w:pBdr")
        _add(borders, "w:bottom", val="single", sz="6", space="0", color="000000")
        properties = paragraph._p.get_or_add_pPr()
        properties.insert_element_before(borders, "w:shd", "w:tabs", "w:spacing", "w:ind", "w:jc", "w:rPr")

    def _gap(self, into: Any, points: float) -> Paragraph:
        """An empty line of a height."""
        paragraph: Paragraph = into.add_paragraph()
        form = paragraph.paragraph_format
        form.alignment, form.line_spacing_rule, form.line_spacing = _LEFT, WD_LINE_SPACING.EXACTLY, Pt(points)
        return paragraph


def _add(parent: Any, tag: str, **attributes: str) -> Any:
    element = OxmlElement(tag)
    for name, value in attributes.items():
        element.set(qn(f"w:{name}"), value)
    parent.append(element)
    return element


def _set(parent: Any, tag: str, **attributes: str) -> None:
    for old in parent.findall(qn(tag)):
        parent.remove(old)
    _add(parent, tag, **attributes)


def _no_margins(table: WordTable) -> None:
    margins = OxmlElement("w:tblCellMar")
    for side in ("w:left", "w:right"):
        _add(margins, side, w="0", type="dxa")
    table._tbl.tblPr.insert_element_before(margins, "w:tblLook", "w:tblCaption", "w:tblDescription")


def _borders(parent: Any, tag: str, colour: str, eighths: int) -> None:
    borders = OxmlElement(tag)
    for side in ("w:top", "w:left", "w:bottom", "w:right"):
        _add(borders, side, val="single", sz=str(eighths), space="0", color=colour)
    parent.append(borders)


def _drop_first(table: WordTable) -> None:
    """A new cell begins with an empty paragraph: take it away where others follow."""
    for row in table.rows:
        for cell in row.cells:
            first = cell.paragraphs[0]
            if len(cell.paragraphs) > 1 and not first.runs:
                cell._tc.remove(first._p)
