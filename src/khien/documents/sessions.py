"""Documents of a session: its minutes and the notice of its conclusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from khien.documents.document import Block, Bullets, Clause, Document, Paragraph, Section, Signature, Table
from khien.documents.form_words import form_words
from khien.documents.office import Office
from khien.documents.wording import short_date, written_moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a unit has to do by when."""

    unit: str
    text: str
    due: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """A conclusion, and who has to do what after it."""

    text: str
    title: str = ""
    assignments: Sequence[Assignment] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgendaItem:
    """An item of the agenda, and what was said to it."""

    title: str
    presenter: str = ""
    discussion: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A session as held. `present`, `absent`: persons with their positions. `name`: "phiên họp lần thứ 3 năm 2026"."""

    name: str
    began_at: datetime
    ended_at: datetime | None = None
    place: str = ""
    chair: str = ""
    secretary: str = ""
    present: Sequence[str] = ()
    absent: Sequence[str] = ()
    agenda: Sequence[AgendaItem] = ()
    conclusions: Sequence[Conclusion] = ()


def conclusion_notice(
    office: Office, session: SessionRecord, *, number: int | None = None, day: date | None = None, marking: str = ""
) -> Document:
    """The notice (TB) of what the chair concluded, with each unit's work and its time."""
    say = form_words("session_forms", office.language)
    opening = say["opening"].format(
        began=written_moment(session.began_at, office.language),
        where=say["where"].format(place=session.place) if session.place else "",
        chair=session.chair or say["the_chair"],
        session=session.name,
    )
    body: list[Block] = [Paragraph(opening)]
    for conclusion in session.conclusions:
        body.append(Clause(conclusion.text, conclusion.title))
        body.extend(assignments_table(conclusion.assignments, office))
    body.append(Paragraph(say["carry_out"]))
    abstract = say["conclusions_of"].format(session=session.name)
    return office.document("TB", number, day, abstract=abstract, body=body, marking=marking)


def minutes(office: Office, session: SessionRecord, *, number: int | None = None, marking: str = "") -> Document:
    """The minutes (BB), signed by the secretary and the chair."""
    say = form_words("session_forms", office.language)
    body: list[Block] = [
        Section(
            say["general"],
            [
                Table(
                    (),
                    [
                        (say["began"], written_moment(session.began_at, office.language)),
                        (say["place"], session.place),
                        (say["chair"], session.chair),
                        (say["secretary"], session.secretary),
                    ],
                    (1, 2),
                )
            ],
        ),
        Section(say["attendance"], _attendance(session, say)),
        Section(say["agenda"], [Clause(item.discussion, _named(item)) for item in session.agenda]),
        Section(
            say["conclusions"],
            [
                Clause(
                    conclusion.text, conclusion.title, blocks=tuple(assignments_table(conclusion.assignments, office))
                )
                for conclusion in session.conclusions
            ],
        ),
        Paragraph(
            say["end"].format(ended=written_moment(session.ended_at, office.language))
            if session.ended_at
            else say["end_open"]
        ),
    ]
    return office.document(
        "BB",
        number,
        None,
        place="",
        abstract=session.name[:1].upper() + session.name[1:],
        body=body,
        marking=marking,
        recipients=(),
        archive=office.archive,
        signature=Signature(say["chair"], _name(session.chair)),
        co_signature=Signature(say["secretary"], _name(session.secretary)) if session.secretary else None,
    )


def assignments_table(assignments: Sequence[Assignment], office: Office) -> list[Block]:
    """Units, what they have to do, and by when; nothing without assignments."""
    if not assignments:
        return []
    say = form_words("session_forms", office.language)
    columns = [say[name] for name in ("position", "unit", "work", "due")]
    rows = [(str(position), each.unit, each.text, short_date(each.due)) for position, each in enumerate(assignments, 1)]
    return [Table(columns, rows, (1, 4, 7, 2.6))]


def _attendance(session: SessionRecord, say: Mapping[str, str]) -> list[Block]:
    made: list[Block] = [Clause(title=f"{say['present']}: {len(session.present):02d}"), Bullets(tuple(session.present))]
    if session.absent:
        made += [Clause(title=f"{say['absent']}: {len(session.absent):02d}"), Bullets(tuple(session.absent))]
    return made


def _name(person: str) -> str:
    """Without the position that follows the name."""
    return person.split(",")[0].strip()


def _named(item: AgendaItem) -> str:
    return f"{item.title} ({item.presenter})" if item.presenter else item.title
