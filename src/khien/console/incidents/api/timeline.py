"""The timeline of an incident: read, written, mended."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from khien.console.api.auth import Key
from khien.console.api.shapes import Moment, PersonRef, Time
from khien.console.incidents import selectors
from khien.console.incidents import timeline as services
from khien.console.incidents.api.showing import Version, looked_at
from khien.console.incidents.models import EntryKind, IncidentEntry

timeline = Router(tags=["incidents"])
MOST = 5000
_TEXT = Field(min_length=1, max_length=services.LONGEST)


class EarlierOut(Schema):
    """An earlier wording of an entry, until when, and who changed it."""

    text: str
    at: Time
    until: Time
    by: str


class EntryOut(Schema):
    """An entry of the timeline. `is_written`: by a person, so it may be mended."""

    id: int
    kind: str
    at: Time
    recorded_at: Time
    by: PersonRef | None
    text: str = Field(alias="shown")
    is_written: bool
    earlier: list[EarlierOut]
    version: int

    @staticmethod
    def resolve_earlier(entry: IncidentEntry) -> list[Any]:
        """The wordings kept with it."""
        return list(entry.data.get("earlier", []))


class MailHead(Schema):
    """Who wrote to whom; empty for what is no mail."""

    sender: str = Field("", alias="from")
    to: str = ""
    subject: str = ""


class MomentOut(Schema):
    """A line of the timeline: an entry, or an event of an alert. `alert`, `entry`: their ids.

    `level`: of the alert. `moved_from`: the number of the incident whose entry it was before a merge or a split.
    """

    key: str
    kind: str
    at: Time
    recorded_at: Time | None
    text: str
    by: PersonRef | None
    level: str
    mail: MailHead
    moved_from: str
    alert: int | None
    entry: int | None

    @staticmethod
    def resolve_alert(moment: selectors.Moment) -> int | None:
        """Its id."""
        return moment.alert.pk if moment.alert else None

    @staticmethod
    def resolve_entry(moment: selectors.Moment) -> int | None:
        """Its id."""
        return moment.entry.pk if moment.entry else None


class KindQuery(Schema):
    """Kinds of entries; none: all."""

    kind: list[EntryKind] = Field(default_factory=list, max_length=len(EntryKind))


class EntryIn(Schema):
    """An entry to write; `at` may lie in the past."""

    kind: Literal["note", "action", "event"] = "note"
    text: str = _TEXT
    at: Moment | None = None


class MendIn(Schema):
    """Another wording or time."""

    version: int = Version
    text: str = _TEXT
    at: Moment


class MailIn(Schema):
    """A mail that was received or sent about the incident."""

    received: bool
    sender: str = Field(min_length=1, max_length=300)
    to: str = Field(min_length=1, max_length=1000)
    subject: str = Field(min_length=1, max_length=300)
    text: str = _TEXT
    at: Moment | None = None


@timeline.get("/{int:pk}/timeline", response=list[MomentOut], auth=Key("incidents:read"), summary="The timeline")
def incident_timeline(request: HttpRequest, pk: int, wanted: Query[KindQuery]) -> list[Any]:
    """Entries and the events of alerts, oldest first. A look at a sensitive one is in the audit trail."""
    return selectors.timeline(request.user, looked_at(request.user, pk), wanted.kind)[:MOST]


@timeline.get("/{int:pk}/entries", response=list[EntryOut], auth=Key("incidents:read"), summary="The entries")
def list_entries(request: HttpRequest, pk: int) -> list[Any]:
    """What people and the system wrote, oldest first. A look at a sensitive one is in the audit trail."""
    incident = looked_at(request.user, pk)
    entries = IncidentEntry.objects.visible_to(request.user).filter(incident=incident)
    return list(entries.select_related("by").order_by("at", "pk")[:MOST])


@timeline.post("/{int:pk}/entries", response={201: EntryOut}, auth=Key("incidents:write"), summary="Write an entry")
def add_entry(request: HttpRequest, pk: int, body: EntryIn) -> Status:
    """A note, an action of ours, or an event of the attack."""
    return Status(201, services.write_entry(request.user, pk, **body.dict()))


@timeline.patch("/entries/{int:pk}", response=EntryOut, auth=Key("incidents:write"), summary="Mend an entry")
def mend_entry(request: HttpRequest, pk: int, body: MendIn) -> Any:
    """The earlier wording is kept. One's own; others' with a role that may lead. `pk`: of the entry."""
    return services.mend_entry(request.user, pk, **body.dict())


@timeline.post("/{int:pk}/mails", response={201: EntryOut}, auth=Key("incidents:write"), summary="Record a mail")
def record_mail(request: HttpRequest, pk: int, body: MailIn) -> Status:
    """It becomes an entry of the timeline; nothing is sent."""
    return Status(201, services.record_mail(request.user, pk, **body.dict()))
