"""What one reads around an alert: why it fired, the events beside it, and what is known of its entity and rule."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from khien.console.alerts import detail, exceptions
from khien.console.alerts.api.showing import finding_of, record_of
from khien.console.alerts.explaining import correlation_facts, explain
from khien.console.alerts.models import AlertFinding
from khien.console.alerts.neighbours import Unreadable, neighbours, time_of
from khien.console.alerts.rule_index import rule_index
from khien.console.api.auth import Key
from khien.console.api.shapes import Time
from khien.rules.model import Correlation

looking = Router(tags=["alerts"])


class FindingQuery(Schema):
    """`finding`: the position of one of the findings kept; left out, the first."""

    finding: int | None = Field(None, ge=0, lt=2**31)


class TwigOut(Schema):
    """A part of a rule's condition, and whether it holds. `others`: parts that do not; `left_out`: how many more."""

    label: str
    holds: bool
    value: str
    has_value: bool
    left_out: int
    items: list[TwigOut]
    others: list[TwigOut]


class FactOut(Schema):
    """What a correlation counts, in words."""

    name: str
    text: str


class ExplanationOut(Schema):
    """Why a finding fired. `at`: when its event happened; null where no finding is kept.

    `known`: whether the rule stands where the console looks; `matches`: whether it still matches as it is now, null
    where that is not known. `trees`: one for each condition.
    """

    at: Time | None
    known: bool
    matches: bool | None
    trees: list[TwigOut]
    references: list[str]
    correlation: list[FactOut]


class NeighbourOut(Schema):
    """An event near a finding. `seconds`: from the finding; `is_same`: it is the finding's own."""

    at: Time
    seconds: float
    logsource: str
    summary: dict[str, str]
    fields: dict[str, str]
    is_same: bool


class NeighboursOut(Schema):
    """The events of a host a few minutes before and after. `trouble`: why the lake could not be read, "" when it was.

    `reached`: there are perhaps more.
    """

    host: str
    at: Time | None
    events: list[NeighbourOut]
    reached: bool
    trouble: str


class BriefOut(Schema):
    """Another alert in a few words."""

    id: int
    title: str
    level: int
    status: int
    verdict: str
    last_at: Time


class DayOut(Schema):
    """How many alerts there were on a day, of them `severe` high or critical."""

    day: date
    n: int
    severe: int


class HistoryOut(Schema):
    """Other alerts of the entity in the last 30 days. `reached`: there are more than were looked at."""

    count: int
    reached: bool
    days: list[DayOut]
    latest: list[BriefOut]


class ShareOut(Schema):
    """What one alert adds to a risk; `alert`, null where it is not seen."""

    alert: int | None
    title: str
    level: str
    count: int
    value: float


class RiskOut(Schema):
    """The entity's risk, and what it is made of. `only_visible`: of those alerts alone that are seen."""

    score: float
    multiplier: float
    tactics: list[str]
    shares: list[ShareOut]
    others: float
    only_visible: bool


class VerdictsOut(Schema):
    """What became of earlier alerts of the rule. `reached`: there are more than were looked at."""

    counts: dict[str, int]
    closed: int
    reached: bool
    latest: list[BriefOut]


class TechniqueOut(Schema):
    """An ATT&CK technique."""

    id: str
    name: str
    url: str
    tactics: list[str]


class SilencedOut(Schema):
    """An exception from the rule."""

    id: int
    title: str
    expires_at: Time
    ended_at: Time | None


class SurroundingsOut(Schema):
    """What is known around an alert, as far as it is seen. `history`, `risk`: null where there is no entity or risk."""

    history: HistoryOut | None
    risk: RiskOut | None
    verdicts: VerdictsOut
    techniques: list[TechniqueOut]
    tactics: list[str]
    exceptions: list[SilencedOut]


@looking.get("/{int:pk}/explanation", response=ExplanationOut, auth=Key("alerts:read"), summary="Why an alert fired")
def explain_alert(request: HttpRequest, pk: int, chosen: Query[FindingQuery]) -> dict[str, Any]:
    """The rule's condition, tried again on one of the findings kept: the first, or another."""
    alert = detail.visible_alert(request.user, pk)
    record, known = record_of(finding_of(alert, chosen.finding)), rule_index().find(alert.rule_id)
    explained = explain(record, known)
    facts = correlation_facts(known.rule, known.parts) if known and isinstance(known.rule, Correlation) else []
    return {
        "at": time_of(record),
        "known": known is not None,
        "matches": explained.matches,
        "trees": explained.trees,
        "references": detail.web_links(known.rule.references) if known else [],
        "correlation": [{"name": name, "text": text} for name, text in facts],
    }


@looking.get("/{int:pk}/neighbours", response=NeighboursOut, auth=Key("alerts:read"), summary="Events around a finding")
def alert_neighbours(request: HttpRequest, pk: int, chosen: Query[FindingQuery]) -> dict[str, Any]:
    """Of the lake: the finding's host, five minutes before and after. 404 where no finding is kept."""
    alert = detail.visible_alert(request.user, pk)
    finding = finding_of(alert, chosen.finding)
    if finding is None:
        raise AlertFinding.DoesNotExist
    record = record_of(finding)
    try:
        found = neighbours(request.user, alert, record)
    except Unreadable as error:
        host = str(record.get("host") or "")
        return {"host": host, "at": time_of(record), "events": [], "reached": False, "trouble": str(error)}
    events = [
        {
            **{name: getattr(each, name) for name in ("at", "seconds", "logsource", "is_same")},
            "summary": dict(each.summary),
            "fields": dict(each.fields),
        }
        for each in found.events
    ]
    return {"host": found.host, "at": found.at, "events": events, "reached": found.reached, "trouble": ""}


@looking.get(
    "/{int:pk}/surroundings",
    response=SurroundingsOut,
    auth=Key("alerts:read"),
    summary="What is known of an alert's entity and rule",
)
def alert_surroundings(request: HttpRequest, pk: int) -> dict[str, Any]:
    """The entity's other alerts and risk, earlier verdicts on the rule, ATT&CK, and exceptions from the rule."""
    user = request.user
    alert = detail.visible_alert(user, pk)
    verdicts = detail.earlier_verdicts(user, alert)
    techniques, tactics = detail.attack(alert.tags)
    return {
        "history": detail.history(user, alert),
        "risk": _risk(detail.risk(user, alert)),
        "verdicts": {
            "counts": {value: n for value, _label, n in verdicts.counts if value},
            "closed": verdicts.closed,
            "reached": verdicts.reached,
            "latest": verdicts.latest,
        },
        "techniques": techniques,
        "tactics": tactics,
        "exceptions": list(exceptions.similar(user, alert.rule_id)[:5]),
    }


def _risk(found: detail.RiskShown | None) -> dict[str, Any] | None:
    if found is None:
        return None
    shares = [
        {"alert": each.pk or None, "title": each.title, "level": each.level, "count": each.count, "value": each.value}
        for each in found.shares
    ]
    names = ("score", "multiplier", "tactics", "others", "only_visible")
    return {**{name: getattr(found, name) for name in names}, "shares": shares}
