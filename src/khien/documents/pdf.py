"""Official documents as PDF: set as HTML in the same form as the Word file. Nothing is fetched from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from khien.documents.document import Document, Run, Signature
from khien.documents.flow import Grid, Line, flow
from khien.documents.layout import Dress, Layout, layout
from khien.documents.marking import TLP_COLOURS
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
from khien.errors import KhienError

_MOST = 1_500_000
"""A size that is set in about half a minute."""
_BLOCK = 150
"""A paragraph or a cell takes as long to set as so many characters of running text."""
_PIECE = 1_000


class PdfError(KhienError):
    """No PDF can be made: not on this machine, or not of so much."""


class TooLong(PdfError):
    """It would take minutes."""


def size_of(document: Document) -> int:
    """How much there is to set: characters, with what paragraphs and cells cost beside theirs."""
    return _size(_pages_html(document))


def render_pdf(document: Document, *, most: int = _MOST) -> bytes:
    """The document as a PDF. Raises PdfError where the Pango library is missing, TooLong for a size over `most`."""
    weasyprint = _weasyprint()
    pages_html = _pages_html(document)
    if _size(pages_html) > most:
        raise TooLong("The document is too long for a PDF", remedy="Take the Word file.")
    style = weasyprint.CSS(string=_style(document, layout(document.family)), url_fetcher=_closed())
    parts = [
        weasyprint.HTML(string=html, url_fetcher=_closed(), base_url=None).render(stylesheets=[style])
        for html in pages_html
    ]
    pages = [page for part in parts for page in part.pages]
    made: bytes = parts[0].copy(pages).write_pdf()
    return made


def _pages_html(document: Document) -> list[str]:
    rules = layout(document.family)
    return [main_html(document, rules), *annexes_html(document, rules)]


def _size(pages_html: Iterable[str]) -> int:
    return sum(len(html) + _BLOCK * (html.count("<p") + html.count("<td")) for html in pages_html)


def _weasyprint() -> Any:
    try:
        import weasyprint
    except OSError as error:
        raise PdfError(
            "PDF files need the Pango library, which is not installed here",
            remedy="Install the packages libpango-1.0-0, libpangoft2-1.0-0 and fonts-croscore, or take the Word file.",
        ) from error
    return weasyprint


def _closed() -> Any:
    """A fetcher that fetches nothing."""
    from weasyprint.urls import URLFetcher

    class Closed(URLFetcher):  # type: ignore[misc]
        """Refuses every address."""

        def fetch(self, url: str, headers: Any = None) -> Any:
            """Never: documents are whole in themselves."""
            raise ValueError("documents fetch nothing")

    return Closed()


def main_html(document: Document, rules: Layout) -> str:
    """All but the annexes, as a page of HTML."""
    parts = [_head(document, rules), _title(document, rules), _addressees(document, rules)]
    last = len(document.bases) - 1
    parts += [_p("bases", basis(each, position == last)) for position, each in enumerate(document.bases)]
    parts += [_item(item) for item in flow(document.body, rules, document.language, ended=is_issued(document))]
    parts.append(_foot(document, rules))
    return _page(document, parts)


def annexes_html(document: Document, rules: Layout) -> list[str]:
    """A page of HTML for each annex."""
    made = []
    for position, annex in enumerate(document.annexes):
        parts = [_p("annex", annex_heading(document, rules, position)), _p("title", annex.title.upper())]
        if note := annex_note(document, rules):
            parts.append(_p("annex_note", note))
        parts += [_item(item) for item in flow(annex.blocks, rules, document.language)]
        made.append(_page(document, parts))
    return made


def _page(document: Document, parts: Iterable[str]) -> str:
    title = escape(clean(" ".join(part for part in (document.kind, document.abstract) if part)))
    author = escape(clean(document.issuer), quote=True)
    return (
        f'<!doctype html><html lang="{document.language}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="author" content="{author}"></head><body>{"".join(parts)}</body></html>'
    )


def _p(kind: str, text: str) -> str:
    return f'<p class="{kind}">{escape(clean(text))}</p>' if text else ""


def _runs(runs: Sequence[Run]) -> str:
    made = ""
    for run in runs:
        text = _pieces(run.text)
        text = f"<b>{text}</b>" if run.bold else text
        made += f"<i>{text}</i>" if run.italic else text
    return made


def _pieces(text: str) -> str:
    """The text, escaped; a long one in pieces, for the time to set one piece grows with the square of its length."""
    if len(text) <= _PIECE:
        return escape(text)
    return "".join(f"<span>{escape(text[at : at + _PIECE])}</span>" for at in range(0, len(text), _PIECE))


def _head(document: Document, rules: Layout) -> str:
    nation, motto = (rules.word(word, document.language) for word in ("national_name", "motto"))
    mark = _p("issuer", "*") if rules.issuer_mark == "star" else ""
    parent, named = issuer_lines(document, rules)
    issuer = _p("parent", parent) + _ruled("issuer", named, mark=not mark) + mark
    right = _p("national_name", nation) + _ruled("motto", motto) if motto else _ruled("national_name", nation)
    number = _p("number", number_line(document, rules))
    if not document.kind and document.abstract:
        number += _p("subject", subject_lines(document, rules))
    if document.urgency:
        words, width, height = rules.stamps[str(document.urgency)]
        number += f'<div class="stamp" style="width:{width}mm;height:{height}mm;line-height:{height}mm">{words}</div>'
    return (
        f'<table class="head"><tr><td class="left">{issuer}</td><td>{right}</td></tr>'
        f"<tr><td>{number}</td><td>{_p('place_date', place_line(document))}</td></tr></table>"
    )


def _ruled(kind: str, text: str, *, mark: bool = True) -> str:
    """Text with a rule under it, whose length its style says."""
    rule = f'<span class="rule rule-{kind}"></span>' if mark else ""
    return f'<p class="{kind}"><span class="over">{escape(clean(text))}{rule}</span></p>'


def _title(document: Document, rules: Layout) -> str:
    if not document.kind:
        return ""
    made = f'<div class="naming">{_p("title", document.kind.upper())}'
    if document.abstract:
        made += _ruled("abstract", abstract_lines(document, rules))
    return f"{made}</div>"


def _addressees(document: Document, rules: Layout) -> str:
    if not document.addressees:
        return ""
    word = rules.word("to", document.language)
    if len(document.addressees) == 1:
        return _p("to", f"{word} {document.addressees[0]}")
    last = len(document.addressees) - 1
    lines = "".join(
        _p("addressee", f"- {each}{'.' if position == last else ';'}")
        for position, each in enumerate(document.addressees)
    )
    return f'<div class="to-many">{_p("addressee", word)}{lines}</div>'


def _item(item: Line | Grid) -> str:
    if isinstance(item, Line):
        keep = " keep" if item.keep else ""
        return f'<p class="line {item.role}{keep}">{_runs(item.runs)}</p>'
    widths = "".join(f'<col style="width:{share * 100:.2f}%">' for share in item.widths)
    head = "".join(f"<th>{escape(name)}</th>" for name in item.columns)
    head = f"<thead><tr>{head}</tr></thead>" if head else ""
    rows = "".join(f"<tr>{''.join(f'<td>{_runs(cell)}</td>' for cell in row)}</tr>" for row in item.rows)
    return f'<table class="grid"><colgroup>{widths}</colgroup>{head}<tbody>{rows}</tbody></table>'


def _foot(document: Document, rules: Layout) -> str:
    if not (document.signature or document.recipients or document.archive):
        return ""
    left = ""
    if document.recipients or document.archive:
        left = _p("recipients_head", rules.word("recipients", document.language))
        left += "".join(_p("recipients", each) for each in recipient_lines(document, rules))
    right, above = _signed(document.signature), ""
    if document.co_signature:
        above = f'<tr><td class="left signing">{_signed(document.co_signature)}</td><td>{right}</td></tr>'
        right = ""
    return f'<table class="foot">{above}<tr><td class="left">{left}</td><td>{right}</td></tr></table>'


def _signed(signature: Signature | None) -> str:
    """Right, position, room for the signature, name."""
    if signature is None:
        return ""
    name = escape(clean(plain_name(signature.name))) or "&nbsp;"
    rights = "".join(_p("authority", each.upper()) for each in signature_lines(signature))
    return f'{rights}<p class="signer room">{name}</p>'


def _style(document: Document, rules: Layout) -> str:
    page = rules.page
    family = ", ".join(name if name == "serif" else f'"{name}"' for name in (rules.font, *rules.twins))
    mark, number = (
        "",
        f"content:counter(page);{_dressed(rules.text['page_number'], document.large)}vertical-align:middle",
    )
    if document.marking:
        shown = clean(document.marking).replace("\\", "").replace('"', "")
        colour = TLP_COLOURS.get(document.marking, "FFFFFF")
        mark = f'content:"{shown}";font:bold 12pt {family};color:#{colour};background:#000;padding:0 1.5mm;'
        mark += "height:6mm;width:auto;white-space:nowrap;margin-block:auto;"
    margins = f"@top-right{{{mark}}}@bottom-right{{{mark}}}" if mark else ""
    dressed = "".join(f".{name}{{{_dressed(each, document.large)}}}" for name, each in rules.text.items())
    return f"""
@page {{ size:{page.width}mm {page.height}mm; margin:{page.top}mm {page.right}mm {page.bottom}mm {page.left}mm;
  font-family:{family}; @top-center {{ {number} }} {margins} }}
@page :first {{ @top-center {{ content:none }} {margins} }}
* {{ margin:0; padding:0; box-sizing:border-box; }}
body {{ font-family:{family}; color:#000; {_dressed(rules.text["body"], document.large)} line-height:{rules.spacing};
  overflow-wrap:anywhere; }}
table {{ border-collapse:collapse; width:100%; }}
td {{ vertical-align:top; }}
{dressed}
.head, .foot {{ table-layout:fixed; }}
.head p, .foot .signing p, .foot td + td p {{ text-align:center; line-height:1.15; }}
.head .left {{ width:{page.issuer_column}mm; }} .foot .left {{ width:{page.recipients_column}mm; }}
.head tr + tr td {{ padding-top:{rules.subject_gap}pt; }} .head .subject {{ margin-top:{rules.subject_gap}pt; }}
.over {{ display:inline-block; max-width:100%; }} .head p, .abstract {{ white-space:pre-line; }}
.rule {{ display:block; border-top:.75pt solid #000; margin:2pt auto 1pt; width:100%; }}
.rule-issuer {{ width:{rules.rules["issuer"] * 100}%; }} .rule-abstract {{ width:{rules.rules["abstract"] * 100}%; }}
.stamp {{ border:1.5pt solid #{rules.stamp_colour}; color:#{rules.stamp_colour}; margin:6pt auto 0; text-align:center;
  {_dressed(rules.text["urgency"], document.large)} }}
.naming {{ margin:16pt 0 12pt; text-align:center; }}
.title, .abstract, .annex, .annex_note {{ text-align:center; }}
.annex_note {{ margin-bottom:12pt; }}
.to {{ text-align:center; margin:12pt 0; }} .to-many {{ margin:12pt 0 12pt 20%; }}
.to-many p + p {{ margin-left:10mm; }}
.line, .bases {{ text-align:justify; text-indent:{rules.first_line}mm; margin-bottom:{rules.after}pt;
  orphans:2; widows:2; }}
.plain {{ text-indent:0; }} .centred {{ text-indent:0; text-align:center; }} .keep {{ break-after:avoid; }}
.grid {{ margin:2pt 0 {rules.after}pt; table-layout:fixed; {_dressed(rules.text["table"], document.large)} }}
.grid th, .grid td {{ border:.5pt solid #000; padding:2pt 1.9mm; text-align:left; line-height:1.1;
  white-space:pre-line; }}
.grid th {{ text-align:center; vertical-align:middle; }} .grid tr {{ break-inside:avoid; }}
.foot {{ margin-top:8pt; break-inside:avoid; }} .foot p {{ line-height:1.15; }} .room {{ padding-top:58pt; }}
.signing {{ padding-bottom:12pt; }}
"""


def _dressed(dress: Dress, large: bool) -> str:
    made = f"font-size:{dress.size(large)}pt;"
    made += "font-weight:bold;" if dress.bold else ""
    return made + ("font-style:italic;" if dress.italic else "")
