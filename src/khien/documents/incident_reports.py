"""Reports of an incident to the authorities: the first notice and the closing report, with the fields of the forms.

Fields after the incident forms of the rules on incident response; what is empty is written as not yet known, so that a
first notice can go out in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from khien.documents.document import Clause, Document, Paragraph, Section, Table, Text
from khien.documents.form_words import form_words
from khien.documents.office import Office
from khien.documents.wording import written_moment


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedSystem:
    """The system an incident struck, as the forms ask for it."""

    name: str
    level: int | None = None
    owner: str = ""
    operator: str = ""
    providers: str = ""
    os_version: str = ""
    services: str = ""
    safeguards: str = ""
    addresses: str = ""
    domains: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstNotice:
    """What a first notice says. Times are aware; `handled`, `confidential`: None where not known yet."""

    incident: str
    reporter: str
    contact: str
    systems: Sequence[AffectedSystem]
    description: str
    detected_at: datetime
    how_detected: str = ""
    handled: bool | None = None
    measures: str = ""
    already_told: str = ""
    attachments: Sequence[str] = ()
    confidential: bool | None = None
    support_wanted: str = ""
    reported_at: datetime | None = None
    personal_data: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingReport:
    """What a closing report says."""

    incident: str
    systems: Sequence[AffectedSystem]
    detected_at: datetime
    closed_at: datetime | None
    description: str
    cause: str
    effect: str
    result: str
    lessons: str = ""
    timeline: Sequence[tuple[datetime, str]] = ()
    attachments: Sequence[str] = ()


def first_notice(
    office: Office,
    facts: FirstNotice,
    addressees: Sequence[str],
    *,
    number: int | None = None,
    day: date | None = None,
    marking: str = "",
) -> Document:
    """The first notice of an incident (of a breach of personal data when `facts.personal_data`)."""
    say = form_words("incident_forms", office.language)
    name = say["breach" if facts.personal_data else "first"].format(incident=facts.incident)
    how = [
        (say["description"], facts.description),
        (say["detected_at"], written_moment(facts.detected_at, office.language)),
        (say["how_detected"], facts.how_detected),
        (say["handled"], _yes_no(facts.handled, say)),
        (say["measures"], facts.measures),
        (say["already_told"], facts.already_told),
    ]
    wishes = [
        (say["attachments"], "\n".join(facts.attachments) or say["none"]),
        (say["confidential"], _yes_no(facts.confidential, say)),
        (say["support_wanted"], facts.support_wanted),
        (say["reported_at"], written_moment(facts.reported_at, office.language)),
    ]
    return office.document(
        "BC",
        number,
        day,
        abstract=name,
        addressees=addressees,
        marking=marking,
        body=[
            Section(say["who"], [_table([(say["reporter"], facts.reporter), (say["contact"], facts.contact)], say)]),
            Section(say["system"], _systems(facts.systems, say)),
            Section(say["happened"], [_table(how, say)]),
            Section(say["wishes"], [_table(wishes, say)]),
            Paragraph(say["ending"].format(issuer=office.issuer)),
        ],
    )


def closing_report(
    office: Office,
    facts: ClosingReport,
    addressees: Sequence[str],
    *,
    number: int | None = None,
    day: date | None = None,
    marking: str = "",
) -> Document:
    """The report that closes an incident."""
    say = form_words("incident_forms", office.language)
    course = [
        (say["detected_at"], written_moment(facts.detected_at, office.language)),
        (say["closed_at"], written_moment(facts.closed_at, office.language)),
    ]
    happened: list[Table | Paragraph] = [_table(course, say), Paragraph(facts.description or say["unknown"])]
    if facts.timeline:
        happened.append(
            Table(
                (say["time"], say["event"]),
                [(written_moment(at, office.language), text) for at, text in facts.timeline],
                (1, 3),
            )
        )
    results = [
        Clause(facts.cause or say["unknown"], say["cause"]),
        Clause(facts.effect or say["unknown"], say["effect"]),
        Clause(facts.result or say["unknown"], say["result"]),
        Clause(facts.lessons or say["unknown"], say["lessons"]),
    ]
    return office.document(
        "BC",
        number,
        day,
        abstract=say["closing"].format(incident=facts.incident),
        addressees=addressees,
        marking=marking,
        body=[
            Section(say["system"], _systems(facts.systems, say)),
            Section(say["happened"], happened),
            Section(say["outcome"], results),
            Section(say["attachments"].upper(), [Paragraph("\n".join(facts.attachments) or say["none"])]),
        ],
    )


def _systems(systems: Sequence[AffectedSystem], say: Mapping[str, str]) -> list[Clause | Table | Paragraph]:
    if not systems:
        return [Paragraph(say["unknown"])]
    made: list[Clause | Table | Paragraph] = []
    for system in systems:
        if len(systems) > 1:
            made.append(Clause(title=system.name))
        made.append(
            _table(
                [
                    (say["system_name"], system.name),
                    (say["level"], str(system.level) if system.level else ""),
                    *((say[field], str(getattr(system, field))) for field in _SYSTEM_FIELDS),
                ],
                say,
            )
        )
    return made


_SYSTEM_FIELDS = (
    *("owner", "operator", "providers", "os_version", "services", "safeguards", "addresses", "domains", "purpose"),
)


def _table(rows: Sequence[tuple[str, str]], say: Mapping[str, str]) -> Table:
    cells: list[tuple[Text, Text]] = [(name, value or say["unknown"]) for name, value in rows]
    return Table((), cells, (1, 2))


def _yes_no(value: bool | None, say: Mapping[str, str]) -> str:
    return say["unknown"] if value is None else say["yes" if value else "no"]
