"""What is done to one alert, several, or all that match a filter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Self

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field, model_validator

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.alerts import services
from khien.console.alerts.api.showing import criteria_of
from khien.console.alerts.detail import visible_alert
from khien.console.alerts.detail_forms import workers
from khien.console.alerts.models import Status
from khien.console.alerts.writing import MOST_AT_ONCE, Chosen
from khien.console.api.auth import Key
from khien.console.api.shapes import Id, PersonRef, seen
from khien.console.incidents.models import Incident

acting = Router(tags=["alerts"])
_STATUS = {"new": Status.NEW, "in_progress": Status.IN_PROGRESS}


class Matching(Schema):
    """All that match a filter of the queue, 10,000 at most. `upto`: none with a greater id: of those counted before."""

    q: str = Field("", max_length=2_000)
    tab: Literal["all", "mine", "unassigned"] = "all"
    upto: int = Id


class Alerts(Schema):
    """Which alerts: `alerts`, each with the version that was read, or null where it does not matter; or `matching`."""

    alerts: dict[int, int | None] | None = Field(None, min_length=1, max_length=MOST_AT_ONCE)
    matching: Matching | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.alerts is None) == (self.matching is None):
            raise ValueError("Either `alerts` or `matching`")
        return self

    def chosen(self, user: User) -> Chosen:
        """What services take. Raises HttpError 422 for a filter that cannot be read."""
        if self.matching is not None:
            return replace(criteria_of(user, self.matching.q, self.matching.tab), upto=self.matching.upto)
        return self.alerts or {}


class AssignIn(Alerts):
    """To whom; null: to nobody."""

    owner: int | None = Field(ge=1, lt=2**63)


class VerdictIn(Alerts):
    """What they turned out to be, `classification` by RSIT. A false positive needs a reason."""

    verdict: Literal["true_positive", "benign", "false_positive"]
    classification: str = Field("", max_length=60)
    reason: str = Field("", max_length=500)

    @property
    def told(self) -> dict[str, str]:
        """What services take."""
        return {"verdict": self.verdict, "classification": self.classification, "reason": self.reason}


class StatusIn(Alerts):
    """How far the work is. Alerts are closed with a verdict."""

    status: Literal["new", "in_progress"]


class CommentIn(Alerts):
    """What to say."""

    text: str = Field(min_length=1, max_length=10_000)


class ReopenIn(Alerts):
    """Why."""

    reason: str = Field("", max_length=500)


class LinkIn(Alerts):
    """To which incident; null: out of theirs."""

    incident: int | None = Field(ge=1, lt=2**63)


class DoneOut(Schema):
    """What was done: to which; which were left alone because somebody had changed them.

    `undo`: what takes it back within a minute; null where nothing was changed, or where it cannot be.
    """

    ids: list[int]
    skipped: list[int]
    undo: int | None = None


@acting.post("/assign", response=DoneOut, auth=Key("alerts:write"), summary="Give alerts to a person")
def assign_alerts(request: HttpRequest, body: AssignIn) -> Any:
    """Who works on alerts and sees these. `/alerts/{pk}/people` tells who that can be."""
    owner = seen(User.objects.visible_to(request.user), body.owner) if body.owner else None
    return services.assign(request.user, body.chosen(request.user), owner)


@acting.post("/take", response=DoneOut, auth=Key("alerts:write"), summary="Take alerts on oneself")
def take_alerts(request: HttpRequest, body: Alerts) -> Any:
    """They become those of the key's owner; new ones are in progress then."""
    return services.assign(request.user, body.chosen(request.user), request.user)


@acting.post("/status", response=DoneOut, auth=Key("alerts:write"), summary="Set how far work on alerts is")
def set_alert_status(request: HttpRequest, body: StatusIn) -> Any:
    """New or in progress."""
    return services.set_status(request.user, body.chosen(request.user), _STATUS[body.status])


@acting.post("/close", response=DoneOut, auth=Key("alerts:write"), summary="Close alerts with a verdict")
def close(request: HttpRequest, body: VerdictIn) -> Any:
    """One or many."""
    return services.close(request.user, body.chosen(request.user), **body.told)


@acting.post("/verdict", response=DoneOut, auth=Key("alerts:write"), summary="Say what alerts turned out to be")
def set_alert_verdict(request: HttpRequest, body: VerdictIn) -> Any:
    """Verdict, class and reason, whether closed or not; their status stays."""
    return services.set_verdict(request.user, body.chosen(request.user), **body.told)


@acting.post("/reopen", response=DoneOut, auth=Key("alerts:write"), summary="Take closed alerts up again")
def reopen(request: HttpRequest, body: ReopenIn) -> Any:
    """Their verdict goes."""
    return services.reopen(request.user, body.chosen(request.user), body.reason)


@acting.post("/comment", response=DoneOut, auth=Key("alerts:write"), summary="Comment on alerts")
def comment(request: HttpRequest, body: CommentIn) -> Any:
    """One or many."""
    return {"ids": services.comment(request.user, body.chosen(request.user), body.text), "skipped": []}


@acting.post("/link", response=DoneOut, auth=Key("alerts:write"), summary="Make alerts those of an incident")
def link(request: HttpRequest, body: LinkIn) -> Any:
    """Or take them out of theirs. `POST /incidents` opens a new one from alerts."""
    chosen = body.chosen(request.user)
    if body.incident is None:
        return services.unlink_from_incident(request.user, chosen)
    return services.link_to_incident(
        request.user, chosen, seen(Incident.objects.visible_to(request.user), body.incident)
    )


@acting.post("/undo/{int:pk}", response=DoneOut, auth=Key("alerts:write"), summary="Take an action on alerts back")
def undo_alerts(request: HttpRequest, pk: int) -> Any:
    """`pk`: the `undo` of one's own action, within a minute. Alerts that somebody changed since then stay."""
    return services.undo(request.user, pk)


@acting.get("/{int:pk}/people", response=list[PersonRef], auth=Key("alerts:write"), summary="Who can take an alert on")
def alert_people(request: HttpRequest, pk: int) -> Any:
    """People that the key's owner sees, who work on alerts and see this one; at most 500."""
    demand(request.user, "alerts.work")
    return list(workers(request.user, visible_alert(request.user, pk))[:500])
