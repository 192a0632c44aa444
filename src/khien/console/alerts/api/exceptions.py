"""Exceptions from rules: drafted from an alert, previewed, made, prolonged, ended."""

from __future__ import annotations

from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import Field

from khien.console.accounts.models import User
from khien.console.alerts import exceptions as services
from khien.console.alerts.api.showing import finding_of, record_of
from khien.console.alerts.detail import visible_alert
from khien.console.alerts.exception_drafts import Choice, Unusable, check, choices, draft
from khien.console.alerts.exception_making import make_previewed
from khien.console.alerts.exception_preview import Preview, is_silenced, preview_alerts, preview_lake
from khien.console.alerts.models import Alert, RuleException
from khien.console.alerts.neighbours import Unreadable
from khien.console.alerts.rule_index import KnownRule, rule_index
from khien.console.api.auth import Key
from khien.console.api.paging import PageParameters, page_of
from khien.console.api.shapes import Id, Moment, Page, PersonRef, Reasoned, Time, Versioned, seen

exceptions = Router(tags=["exceptions"])
_TEXT = Field(min_length=1, max_length=70_000)


class ExceptionOut(Schema):
    """An exception from a rule. `alert`: what it was made from, null where that is not seen.

    `in_force`: neither ended nor expired. `preview`: what it would have silenced when it was made.
    """

    id: int
    rule_id: str
    title: str
    reason: str
    owner: PersonRef
    alert: int | None
    in_force: bool
    created_at: Time
    updated_at: Time
    expires_at: Time
    ended_at: Time | None
    ended_by: PersonRef | None
    preview: dict[str, Any]
    version: int


class ExceptionWhole(ExceptionOut):
    """An exception with its Sigma filter. `written`: whether it stands where the live service reads it."""

    text: str
    written: bool


class ExceptionQuery(Schema):
    """`state`: in force, expiring within a week, ended, or all; `q`: words in title, rule or reason."""

    state: Literal["active", "soon", "ended", "all"] = "active"
    q: str = Field("", max_length=200)


class AboutIn(Schema):
    """An alert, and which of the findings kept of it; left out, the first."""

    alert: int = Id
    finding: int | None = Field(None, ge=0, lt=2**31)


class DraftIn(AboutIn):
    """`fields`: what the filter asks for; null: what is proposed."""

    fields: list[str] | None = Field(None, min_length=1, max_length=100)
    title: str = Field("", max_length=200)


class ChoiceOut(Schema):
    """A field that a filter may ask for. `chosen`: proposed."""

    name: str
    shown: str
    matched: bool
    chosen: bool


class DraftOut(Schema):
    """A Sigma filter, and what it can be drafted from."""

    title: str
    text: str
    fields: list[ChoiceOut]


class PreviewIn(AboutIn):
    """`where`: over the alerts kept in the console, or over the findings of the lake."""

    text: str = _TEXT
    where: Literal["alerts", "lake"] = "alerts"


class WrongOut(Schema):
    """What is wrong with a text. `line`, `column` from 1; 0 where the place is not known."""

    message: str
    line: int
    column: int


class ExampleOut(Schema):
    """A finding in a few words. `alert`: 0 for one of the lake."""

    time: str
    host: str
    user: str
    text: str
    alert: int


class CountsOut(Schema):
    """How many of the last 30 days; `unknown`: of those it cannot be said. The newest `looked` of `there`."""

    silenced: int
    kept: int
    partly: int
    unknown: int
    looked: int
    there: int
    whole: bool
    silenced_examples: list[ExampleOut]
    kept_examples: list[ExampleOut]


class PreviewOut(Schema):
    """What a text would have silenced. `seen`: null where it has `problems`, or the lake has `trouble`.

    `own`: whether it silences the finding itself, null where that cannot be said.
    """

    problems: list[WrongOut]
    seen: CountsOut | None
    own: bool | None
    trouble: str


class ExceptionIn(AboutIn):
    """An exception to make. `text`: the Sigma filter; `owner`: who answers for it, null for the key's owner."""

    title: str = Field(min_length=1, max_length=200)
    text: str = _TEXT
    reason: str = Field(min_length=1, max_length=500)
    owner: int | None = Field(None, ge=1, lt=2**63)
    expires_at: Moment


class ProlongIn(Reasoned):
    """Until when, and why it is still harmless."""

    expires_at: Moment


def _shown(user: User, found: list[RuleException]) -> list[dict[str, Any]]:
    known = set(
        Alert.objects.visible_to(user).filter(pk__in=[each.alert_id for each in found]).values_list("pk", flat=True)
    )
    names = [name for name in ExceptionOut.model_fields if name not in ("alert", "in_force")]
    now = timezone.now()
    return [
        {
            **{name: getattr(each, name) for name in names},
            "alert": each.alert_id if each.alert_id in known else None,
            "in_force": each.ended_at is None and each.expires_at > now,
        }
        for each in found
    ]


def _whole(user: User, pk: int) -> dict[str, Any]:
    found = seen(RuleException.objects.visible_to(user).select_related("owner", "ended_by"), pk)
    return {**_shown(user, [found])[0], "text": found.text, "written": services.is_written(found)}


def _about(user: User, body: AboutIn) -> tuple[Alert, dict[str, Any], KnownRule]:
    """The alert, the finding's record and the rule, for one who makes exceptions. Raises HttpError 422."""
    services.demand_exceptions(user)
    alert = visible_alert(user, body.alert)
    record, known = record_of(finding_of(alert, body.finding)), rule_index().find(alert.rule_id)
    if known is None:
        raise HttpError(422, "The console does not know the rule of this alert: there is nothing to except from")
    return alert, record, known


@exceptions.get(
    "/exceptions", response=Page[ExceptionOut], auth=Key("alerts:read"), summary="List exceptions from rules"
)
def list_exceptions(request: HttpRequest, page: PageParameters, filters: Query[ExceptionQuery]) -> dict[str, Any]:
    """Those that the key's owner sees."""
    rows = services.matching(request.user, "" if filters.state == "all" else filters.state, filters.q)
    found = page_of(rows, page)
    return {**found, "items": _shown(request.user, found["items"])}


@exceptions.get(
    "/exceptions/owners", response=list[PersonRef], auth=Key("alerts:write"), summary="Who can own an exception"
)
def exception_owners(request: HttpRequest) -> Any:
    """People who may answer for one, at most 500."""
    services.demand_exceptions(request.user)
    return list(services.owners(request.user)[:500])


@exceptions.get("/exceptions/{int:pk}", response=ExceptionWhole, auth=Key("alerts:read"), summary="One exception")
def one_exception(request: HttpRequest, pk: int) -> dict[str, Any]:
    """404 for one that is not seen."""
    return _whole(request.user, pk)


@exceptions.post(
    "/exceptions/draft", response=DraftOut, auth=Key("alerts:write"), summary="Draft an exception from an alert"
)
def draft_exception(request: HttpRequest, body: DraftIn) -> dict[str, Any]:
    """A Sigma filter for the values of one of its findings. Nothing is kept."""
    alert, record, known = _about(request.user, body)
    offered = choices(alert, record, known)
    wanted = {each.name for each in offered if each.chosen} if body.fields is None else set(body.fields)
    chosen: list[Choice] = [each for each in offered if each.name in wanted]
    if not chosen:
        raise HttpError(422, "fields: none of these is a field of the finding")
    title = body.title.strip() or services.title_for(alert, known)
    return {"title": title, "text": draft(known, title, chosen), "fields": offered}


@exceptions.post(
    "/exceptions/preview", response=PreviewOut, auth=Key("alerts:write"), summary="What an exception would silence"
)
def preview_exception(request: HttpRequest, body: PreviewIn) -> dict[str, Any]:
    """Over the last 30 days. Nothing is kept."""
    _alert, record, known = _about(request.user, body)
    shown: dict[str, Any] = {"problems": [], "seen": None, "own": None, "trouble": ""}
    try:
        found = check(body.text.replace("\r\n", "\n"), known, rule_index())
    except Unusable as error:
        return {**shown, "problems": error.problems}
    event = record.get("event")
    own = is_silenced(found, known, event) if isinstance(event, dict) else None
    seen_now: Preview | None = None
    trouble = ""
    try:
        seen_now = preview_lake(found, known) if body.where == "lake" else preview_alerts(request.user, found, known)
    except Unreadable as error:
        trouble = str(error)
    return {**shown, "own": own, "seen": seen_now, "trouble": trouble}


@exceptions.post("/exceptions", response={201: ExceptionWhole}, auth=Key("alerts:write"), summary="Make an exception")
def make_exception(request: HttpRequest, body: ExceptionIn) -> Status:
    """The live service takes it up within a minute. It lasts at most 180 days."""
    user = request.user
    alert, _record, known = _about(user, body)
    told = {"title": body.title, "text": body.text, "reason": body.reason, "expires_at": body.expires_at}
    owner = seen(services.owners(user), body.owner) if body.owner else user
    try:
        made = make_previewed(user, alert=alert, known=known, owner=owner, **told)
    except Unusable as error:
        wrong = [f"{each.line}:{each.column}: {each.message}" for each in error.problems]
        raise ValidationError({"text": wrong}) from error
    return Status(201, _whole(user, made.pk))


@exceptions.post(
    "/exceptions/{int:pk}/prolong", response=ExceptionWhole, auth=Key("alerts:write"), summary="Prolong an exception"
)
def prolong_exception(request: HttpRequest, pk: int, body: ProlongIn) -> dict[str, Any]:
    """Let it expire at another time; 409 for one that has ended."""
    services.prolong_exception(request.user, pk, body.version, body.expires_at, body.reason)
    return _whole(request.user, pk)


@exceptions.post(
    "/exceptions/{int:pk}/end", response=ExceptionWhole, auth=Key("alerts:write"), summary="End an exception"
)
def end_exception(request: HttpRequest, pk: int, body: Versioned) -> dict[str, Any]:
    """Now: the rule fires again within a minute."""
    services.end_exception(request.user, pk, body.version)
    return _whole(request.user, pk)
