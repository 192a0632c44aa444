"""What happened in the sample province: sessions, directives, tasks and incidents, lived through in order of time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import translation

from khien.console.accounts.models import User
from khien.console.directives import checking, handling, issuing, sessions
from khien.console.directives.models import Directive, Session, Task
from khien.console.directives.tasks import create_task
from khien.console.exports.services import ask
from khien.console.incidents import services as incident_services
from khien.console.incidents.evidence import add_evidence
from khien.console.incidents.indicators import add_indicators
from khien.console.incidents.models import Incident
from khien.console.incidents.playbook_tasks import apply_playbook
from khien.console.incidents.timeline import write_entry
from khien.console.sample.clock import at
from khien.console.units.models import Unit

if TYPE_CHECKING:
    from khien.console.sample.province import Sample

PREPARES, ISSUES = "phan-tich-1", "chu-tich"
Scene = tuple[datetime, Callable[[], None]]


def tell(sample: Sample, story: dict[str, Any]) -> None:
    """Everything of the story, each thing at its time; the files are asked for now."""
    scenes: list[Scene] = []
    for each in story["sessions"]:
        scenes += _session(sample, each)
    for each in story["drafts"]:
        scenes += _draft_alone(sample, each)
    for each in story["tasks"]:
        scenes += _task(sample, each)
    for each in story["incidents"]:
        scenes += _incident(sample, each)
    for moment, happen in sorted(scenes, key=lambda scene: scene[0]):
        if moment < sample.day:
            with at(moment):
                happen()
    with translation.override("vi"):
        for each in story["files"]:
            ask(sample.people[each["by"]], each["address"], each["title"])


def _session(sample: Sample, told: dict[str, Any]) -> list[Scene]:
    by, made = sample.people[PREPARES], {}

    def plan() -> None:
        session = sessions.plan(
            by,
            title=told["title"],
            kind=told["kind"],
            starts_at=sample.moment(*told["starts"]),
            ends_at=sample.moment(*told["ends"]),
            place=told["place"],
            chair=sample.people[ISSUES],
            secretary=by,
        )
        for item in told["agenda"]:
            sessions.set_agenda_item(by, session.pk, None, title=item["title"], presenter=item["presenter"])
        seats = [seat for seat in sessions.current_seats() if seat.seat in ("chair", "deputy")]
        sessions.call(by, session.pk, None, appointments=seats, units=[sample.units[code] for code in told["called"]])
        made["session"] = session

    scenes = [(sample.moment(*told["planned"]), plan)]
    if "conclusions" not in told:
        return scenes

    def hold() -> None:
        session: Session = made["session"]
        absent = {sample.units[code].pk for code in told["absent"]}
        sessions.hold(by, session.pk, None)
        rows = {
            row.pk: ("absent" if row.unit_id in absent else "present", row.person, "")
            for row in session.attendance.all()
        }
        sessions.record_attendance(by, session.pk, None, rows)
        for item, point in zip(session.agenda.all(), told["agenda"], strict=True):
            sessions.set_agenda_item(
                by, session.pk, None, item=item.pk, title=item.title, presenter=item.presenter, notes=point["notes"]
            )
        sessions.write_minutes(by, session.pk, None, told["minutes"])
        for conclusion in told["conclusions"]:
            sessions.set_conclusion(by, session.pk, None, text=conclusion["text"])
        sessions.conclude(by, session.pk, None)

    scenes.append((sample.moment(*told["ends"]), hold))
    for number, conclusion in enumerate(told["conclusions"], start=1):
        for directive in conclusion["directives"]:
            scenes += _directive(sample, directive, made, number)
    return scenes


def _directive(sample: Sample, told: dict[str, Any], made: dict[str, Any], number: int) -> list[Scene]:
    kept: dict[str, Directive] = {}

    def draft() -> None:
        kept["directive"] = issuing.draft(
            sample.people[PREPARES],
            title=told["title"],
            text=told["text"],
            basis=told["basis"],
            due_at=sample.moment(*told["due"]),
            units={sample.units[code]: None for code in told["units"]},
            conclusion=made["session"].conclusions.get(number=number),
        )

    def issue() -> None:
        issuing.issue(sample.people[ISSUES], kept["directive"].pk, None)

    scenes: list[Scene] = [(sample.moment(*told["drafted"]), draft), (sample.moment(*told["issued"]), issue)]
    for place, (code, steps) in enumerate(told["units"].items()):
        unit = sample.units[code]

        def find(unit: Unit = unit) -> Task:
            return Task.objects.get(directive=kept["directive"], unit=unit)

        scenes += _steps(sample, unit, steps, find, place)
    return scenes


def _draft_alone(sample: Sample, told: dict[str, Any]) -> list[Scene]:
    def draft() -> None:
        issuing.draft(
            sample.people[PREPARES],
            title=told["title"],
            text=told["text"],
            due_at=sample.moment(*told["due"]),
            units={sample.units[code]: None for code in told["units"]},
        )

    return [(sample.moment(*told["drafted"]), draft)]


def _task(sample: Sample, told: dict[str, Any]) -> list[Scene]:
    unit, kept = sample.units[told["unit"]], {}

    def give() -> None:
        kept["task"] = create_task(
            sample.people[PREPARES],
            unit=unit,
            title=told["title"],
            text=told["text"],
            due_at=sample.moment(*told["due"]),
        )

    return [
        (sample.moment(*told["given"]), give),
        *_steps(sample, unit, told["steps"], lambda: Task.objects.get(pk=kept["task"].pk), 0),
    ]


def _steps(sample: Sample, unit: Unit, steps: list[list[Any]], find: Callable[[], Task], place: int) -> list[Scene]:
    """Each step about the middle of its day, a little apart from those of other units."""
    return [
        (sample.moment(days, f"{10 + number % 6}:{(7 * place + 11) % 60:02}"), _step(sample, unit, what, values, find))
        for number, (days, what, *values) in enumerate(steps)
    ]


def _step(sample: Sample, unit: Unit, what: str, values: list[Any], find: Callable[[], Task]) -> Callable[[], None]:
    checker = sample.people[PREPARES]

    def happen() -> None:
        task, worker = find(), _worker(sample, unit)
        if what == "accept":
            handling.assign(worker, task.pk, None, worker)
        elif what == "report":
            handling.report(worker, task.pk, None, percent=values[0], text=values[1])
        elif what == "finish":
            handling.finish(worker, task.pk, None, text=values[0])
        elif what == "more":
            handling.ask_more_time(worker, task.pk, None, until=sample.moment(values[0], "17:00"), reason=values[1])
        elif what == "grant":
            checking.grant(checker, task.pk, None)
        elif what == "send_back":
            checking.send_back(checker, task.pk, None, reason=values[0])
        elif what == "confirm":
            checking.confirm(checker, task.pk, None, text=values[0])
        elif what == "cancel":
            checking.cancel(checker, task.pk, None, reason=values[0])
        else:
            raise ValueError(what)

    return happen


def _worker(sample: Sample, unit: Unit) -> User:
    """Who works on a unit's tasks."""
    return next(person for person in sample.people.values() if person.unit_id == unit.pk)


def _incident(sample: Sample, told: dict[str, Any]) -> list[Scene]:
    people, kept = sample.people, {}
    leader = people[told["leader"]]

    def open_it() -> None:
        kept["incident"] = incident_services.open_incident(
            leader,
            title=told["title"],
            description=told["description"],
            level=told["level"],
            unit=sample.units[told["unit"]],
            units=[sample.units[code] for code in told["units"]],
            systems=[sample.systems[code] for code in told["systems"]],
            working_class=told["class"],
            tlp=told.get("tlp", "AMBER"),
            leader=leader,
            team=[people[key] for key in told["team"]],
            detected_at=sample.moment(*told["detected"]),
            serious=told.get("serious", False),
            personal_data=told.get("personal_data", False),
            personal_data_at=sample.moment(*told["detected"]) if told.get("personal_data") else None,
        )
        if told.get("indicators"):
            add_indicators(leader, kept["incident"].pk, [("", value) for value in told["indicators"]])
        if "playbook" in told:
            apply_playbook(leader, kept["incident"].pk, told["playbook"])

    def write(kind: str, text: str, moment: datetime) -> Callable[[], None]:
        return lambda: write_entry(leader, kept["incident"].pk, kind=kind, text=text, at=moment) and None

    def keep(piece: dict[str, Any], moment: datetime) -> Callable[[], None]:
        def happen() -> None:
            add_evidence(
                leader,
                kept["incident"].pk,
                [SimpleUploadedFile(piece["name"], piece["text"].encode(), "text/plain")],
                description=piece["description"],
                collected_at=moment,
                collected_where=piece["where"],
                collected_by=leader.name,
            )

        return happen

    def move(status: str) -> Callable[[], None]:
        def happen() -> None:
            incident = Incident.objects.get(pk=kept["incident"].pk)
            incident_services.set_status(leader, incident.pk, incident.version, status)

        return happen

    def close() -> None:
        incident = Incident.objects.get(pk=kept["incident"].pk)
        incident_services.close_incident(
            leader,
            incident.pk,
            incident.version,
            cause=told["cause"],
            effect=told["effect"],
            lessons=told["lessons"],
            clocks_reason="Không thuộc diện phải thông báo.",
        )

    opened = sample.moment(*told["opened"])
    scenes: list[Scene] = [(opened, open_it)]
    for days, clock, kind, text in told["entries"]:
        moment = sample.moment(days, clock)
        # What happened before it was opened is written down just after.
        scenes.append((max(moment, opened), write(kind, text, moment)))
    for piece in told.get("evidence", ()):
        moment = sample.moment(*piece["collected"])
        scenes.append((moment, keep(piece, moment)))
    scenes += [(sample.moment(days, clock), move(status)) for days, clock, status in told.get("status", ())]
    if "closed" in told:
        scenes.append((sample.moment(*told["closed"]), close))
    return scenes
