"""A directive: to its units as a letter, or as a decision in articles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from khien.documents.document import Article, Block, Clause, Document, Paragraph, Run, Urgency
from khien.documents.form_words import form_words
from khien.documents.office import Office
from khien.documents.sessions import Assignment, assignments_table
from khien.documents.wording import lower_first


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
    say = form_words("session_forms", office.language)
    body: list[Block] = [Paragraph(directive.text)] if directive.text else []
    body += [Clause(point) for point in directive.points]
    body += assignments_table(directive.assignments, office)
    body.append(Paragraph(say["in_time"]))
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
    say = form_words("session_forms", office.language)
    first: list[Block] = [Clause(point) for point in directive.points]
    articles: list[Block] = [
        Paragraph([Run(say["decides"], bold=True)], centred=True),
        Article(directive.text or directive.title, blocks=first),
    ]
    if directive.assignments:
        articles.append(Article(say["units_do"], blocks=assignments_table(directive.assignments, office)))
    articles.append(Article(say["in_force"]))
    title = directive.title if office.language == "en" else lower_first(directive.title)
    return office.document(
        "QĐ",
        number,
        day,
        abstract=say["about"].format(title=title),
        bases=directive.bases,
        body=articles,
        urgency=directive.urgency,
        marking=marking,
    )
