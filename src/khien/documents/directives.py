"""A directive: to its units as a letter, or as a decision in articles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from khien.documents.document import Article, Block, Clause, Document, Paragraph, Run, Urgency
from khien.documents.office import Office
from khien.documents.sessions import Assignment, assignments_table


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectiveText:
    """What a directive says. `bases`: legal ones and the conclusion it follows from; `points`: what has to be done."""

    title: str
    bases: Sequence[str] = ()
    text: str = ""
    points: Sequence[str] = ()
    assignments: Sequence[Assignment] = ()
    urgency: Urgency | None = None


def directive_letter(
    office: Office, directive: DirectiveText, *, number: int | None = None, day: date | None = None, marking: str = ""
) -> Document:
    """A directive as an official letter to the units it names."""
    english = office.language == "en"
    body: list[Block] = [Paragraph(directive.text)] if directive.text else []
    body += [Clause(point) for point in directive.points]
    body += assignments_table(directive.assignments, office)
    body.append(
        Paragraph(
            "The units are asked to carry this out and to report to the standing office in time."
            if english
            else "Yêu cầu các đơn vị nghiêm túc thực hiện và báo cáo kết quả về Cơ quan thường trực đúng thời hạn."
        )
    )
    return office.document(
        "",
        number,
        day,
        abstract=directive.title,
        bases=directive.bases,
        addressees=tuple(dict.fromkeys(each.unit for each in directive.assignments)),
        body=body,
        urgency=directive.urgency,
        marking=marking,
    )


def directive_decision(
    office: Office, directive: DirectiveText, *, number: int | None = None, day: date | None = None, marking: str = ""
) -> Document:
    """A directive as a decision: what is decided, who does what, and that it is in force from its date."""
    english = office.language == "en"
    first: list[Block] = [Clause(point) for point in directive.points]
    work = "The units carry out:" if english else "Giao các đơn vị thực hiện:"
    articles: list[Block] = [
        Paragraph([Run("DECIDES:" if english else "QUYẾT ĐỊNH:", bold=True)], centred=True),
        Article(directive.text or directive.title, blocks=first),
    ]
    if directive.assignments:
        articles.append(Article(work, blocks=assignments_table(directive.assignments, office)))
    articles.append(
        Article(
            "This decision is in force from the day it is signed; the units named carry it out."
            if english
            else "Quyết định này có hiệu lực kể từ ngày ký; thủ trưởng các đơn vị có tên tại Quyết định này chịu trách "
            "nhiệm thi hành."
        )
    )
    abstract = directive.title if english else f"Về việc {directive.title[:1].lower()}{directive.title[1:]}"
    return office.document(
        "QĐ",
        number,
        day,
        abstract=abstract,
        bases=directive.bases,
        body=articles,
        urgency=directive.urgency,
        marking=marking,
    )
