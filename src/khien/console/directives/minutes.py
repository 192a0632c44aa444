"""The minutes of a session, the notice of its conclusions, and a directive, as official documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from django.db.models import Prefetch
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from khien.console.accounts.models import User
from khien.console.directives.models import Attendance, Directive, DirectiveState, DirectiveUnit, Presence, Session
from khien.console.directives.selectors import directives_shown
from khien.console.units.office import office
from khien.documents import sessions as parts
from khien.documents.directives import DirectiveText, directive_letter
from khien.documents.office import Office
from khien.documents.official import Document, Language, Signature


def minutes_of(user: User, session: Session) -> Document:
    """The minutes, with the directives that the reader sees."""
    return parts.minutes(_office(), _record(user, session))


def notice_of(user: User, session: Session) -> Document:
    """The notice of what was concluded."""
    return parts.conclusion_notice(_office(session.chair), _record(user, session))


def directive_document(directive: Directive, told: Sequence[DirectiveUnit]) -> Document:
    """A directive to those of its units that the reader sees."""
    text = DirectiveText(
        title=directive.title,
        bases=_lines(directive.basis),
        text=directive.text,
        assignments=[
            parts.Assignment(
                unit=row.unit.name,
                text=directive.title,
                due=timezone.localtime(row.due_at or directive.due_at).date(),
            )
            for row in told
        ],
    )
    day = timezone.localtime(directive.issued_at).date() if directive.issued_at else None
    made = directive_letter(_office(directive.signer), text, number=directive.number, day=day)
    return replace(made, sign=directive.sign)


def _record(user: User, session: Session) -> parts.SessionRecord:
    issued = directives_shown(user).exclude(state=DirectiveState.DRAFT).order_by("pk")
    conclusions = session.conclusions.prefetch_related(Prefetch("directives", issued, "seen"))
    attendance = list(session.attendance.select_related("appointment", "unit"))
    here = (Presence.PRESENT, Presence.SUBSTITUTE)
    return parts.SessionRecord(
        name=session.title,
        began_at=timezone.localtime(session.starts_at),
        ended_at=timezone.localtime(session.ends_at) if session.ends_at else None,
        place=session.place,
        chair=_person(session.chair),
        secretary=_person(session.secretary),
        present=[_came(row) for row in attendance if row.presence in here],
        absent=[_came(row) for row in attendance if row.presence == Presence.ABSENT],
        agenda=_agenda(session),
        conclusions=[
            parts.Conclusion(
                text=row.text,
                assignments=[
                    parts.Assignment(
                        unit=task.unit.name,
                        text=f"{each.label} {each.title}",
                        due=timezone.localtime(task.due_at).date(),
                    )
                    for each in row.seen
                    for task in each.seen_tasks
                ],
            )
            for row in conclusions
        ],
    )


def _agenda(session: Session) -> list[parts.AgendaItem]:
    """The points of the agenda with what was said to each, and what else the minutes tell."""
    found = [
        parts.AgendaItem(title=row.title, presenter=row.presenter, discussion=" ".join(_lines(row.notes)))
        for row in session.agenda.all()
    ]
    if session.minutes:
        found.append(parts.AgendaItem(title=_("Course of the session"), discussion=" ".join(_lines(session.minutes))))
    return found


def _came(row: Attendance) -> str:
    who = str(row.appointment.get_seat_display() if row.appointment else row.unit)
    return ", ".join(dict.fromkeys(part for part in (row.person, who, row.note) if part))


def _person(user: User | None) -> str:
    return ", ".join(part for part in (user.name, user.title or str(user.unit)) if part) if user else ""


def _office(signer: User | None = None) -> Office:
    signature = Signature(signer.title or str(signer.get_role_display()), signer.name) if signer else None
    language: Language = "en" if (get_language() or "").startswith("en") else "vi"
    return office(signature=signature, language=language)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
