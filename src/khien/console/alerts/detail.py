"""What one reads of a single alert: its findings, the entity's past and risk, earlier verdicts, ATT&CK, activity.

Everything that is of other alerts is of those the person sees. Each part is bounded, however many there are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from khien.alerts.database import AlertStoreError, Database
from khien.alerts.entities import Entity
from khien.alerts.risk import Contribution, RiskModel, multiplier_of
from khien.alerts.selectors import AlertSelectors
from khien.console.accounts.models import User
from khien.console.alerts.models import Alert, AlertActivity, AlertFinding, Status, Verdict
from khien.console.units.scoping import scope_ids
from khien.findings.attack import TACTICS, placed, tactics, technique_name

HISTORY_DAYS = 30
MOST_HISTORY = 500
MOST_VERDICTS = 1_000
MOST_LOOKED_AT = 5_000
_LISTED = 8
_MOST_ACTIVITIES = 200
_log = structlog.get_logger()
ENTITY_KINDS: dict[str, Promise] = {
    "host": _("host"),
    "user": _("user account"),
    "ip": _("address"),
    "domain": _("domain"),
    "hash": _("file hash"),
    "process": _("process"),
}


@dataclass(frozen=True, slots=True)
class Day:
    """A bar of the picture of alerts over time: `n` alerts, of them `severe` high or critical. `x`: its place."""

    day: date
    n: int
    severe: int
    x: int
    height: float
    severe_height: float


@dataclass(frozen=True, slots=True)
class History:
    """Other alerts of the same entity in the last 30 days. `reached`: there are more than were looked at."""

    count: int
    reached: bool
    days: tuple[Day, ...]
    latest: tuple[Alert, ...]
    most: int


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What became of earlier alerts of the rule: how many of each verdict, and the last ones."""

    counts: tuple[tuple[str, Promise | str, int], ...]
    closed: int
    reached: bool
    latest: tuple[Alert, ...]


@dataclass(frozen=True, slots=True)
class RiskShare:
    """What one alert adds to the risk. `pk` of the console's alert, 0 where the person does not see it."""

    pk: int
    title: str
    level: str
    count: int
    value: float


@dataclass(frozen=True, slots=True)
class RiskShown:
    """An entity's risk and what it is made of."""

    score: float
    multiplier: float
    tactics: tuple[str, ...]
    shares: tuple[RiskShare, ...]
    others: float
    only_visible: bool


@dataclass(frozen=True, slots=True)
class Technique:
    """An ATT&CK technique with its tactics. `url`: its page at MITRE."""

    id: str
    name: str
    url: str
    tactics: tuple[str, ...]


def visible_alert(user: User, pk: int) -> Alert:
    """An alert the person sees, with all that its page names. Raises Alert.DoesNotExist."""
    rows = Alert.objects.visible_to(user)
    return rows.select_related("unit", "unit__kind", "system", "owner", "incident", "made_by").get(pk=pk)


def samples(alert: Alert) -> list[AlertFinding]:
    """The findings kept of an alert, at most 20."""
    return list(alert.findings.all()[:20])


def history(user: User, alert: Alert) -> History | None:
    """Other alerts of the alert's entity; None where it has none."""
    if not alert.entity_value:
        return None
    now = timezone.now()
    since = now - timedelta(days=HISTORY_DAYS)
    rows = Alert.objects.visible_to(user).filter(
        entity_value=alert.entity_value, entity_kind=alert.entity_kind, last_at__gte=since
    )
    if _is_local(alert):
        rows = rows.filter(unit_id=alert.unit_id)
    rows = rows.exclude(pk=alert.pk).order_by("-last_at", "-id")
    seen = list(rows.values_list("last_at", "level")[: MOST_HISTORY + 1])
    reached = len(seen) > MOST_HISTORY
    seen = seen[:MOST_HISTORY]
    days: Counter[date] = Counter(timezone.localtime(at).date() for at, _level in seen)
    severe: Counter[date] = Counter(timezone.localtime(at).date() for at, level in seen if level >= 3)
    first = timezone.localtime(since).date()
    most = max(days.values(), default=0)
    bars = []
    for at in range(HISTORY_DAYS + 1):
        day = first + timedelta(days=at)
        n, bad = days[day], severe[day]
        scale = 32 / most if most else 0
        bars.append(Day(day, n, bad, at * 8, round(n * scale, 1), round(bad * scale, 1)))
    latest = tuple(rows.select_related("owner")[:_LISTED])
    return History(len(seen), reached, tuple(bars), latest, most)


def earlier_verdicts(user: User, alert: Alert) -> Verdicts:
    """Verdicts on the alerts of the same rule that were closed: the newest 1,000 among the newest 5,000."""
    rows = Alert.objects.visible_to(user).filter(rule_id=alert.rule_id).exclude(pk=alert.pk)
    newest = list(rows.order_by("-last_at", "-id").values_list("id", "status")[: MOST_LOOKED_AT + 1])
    closed = [pk for pk, status in newest[:MOST_LOOKED_AT] if status == Status.CLOSED]
    reached = len(closed) > MOST_VERDICTS or len(newest) > MOST_LOOKED_AT
    closed = closed[:MOST_VERDICTS]
    said = dict(Alert.objects.filter(pk__in=closed).values_list("id", "verdict"))
    counted = Counter(said.values())
    counts = tuple((value, label, counted[value]) for value, label in Verdict.choices if counted[value])
    last = [pk for pk in closed if said.get(pk)][:5]
    found = Alert.objects.filter(pk__in=last).select_related("owner", "unit").order_by("-last_at", "-id")
    latest = tuple(found)
    closers = _closers(latest)
    for each in latest:
        each.closed_by = closers.get(each.pk)  # type: ignore[attr-defined]
    return Verdicts(counts, len(said), reached, latest)


def _closers(alerts: tuple[Alert, ...]) -> dict[int, User | None]:
    """Who did the last thing to each of some alerts that carries a verdict."""
    rows = AlertActivity.objects.filter(alert__in=alerts, kind="close").select_related("by")
    return {each.alert_id: each.by for each in rows.order_by("at", "id")}


def activities(alert: Alert) -> list[AlertActivity]:
    """What was done to an alert and said about it, the newest 200, the oldest first."""
    rows = AlertActivity.objects.filter(alert=alert).select_related("by").order_by("-at", "-id")
    return list(rows[:_MOST_ACTIVITIES])[::-1]


def risk(user: User, alert: Alert) -> RiskShown | None:
    """The risk of the alert's entity as the live service reckons it; None where it is not known."""
    path = Path(settings.LIVE) / "alerts.db"
    if not alert.entity_value or not alert.live_key or not path.is_file():
        return None
    entity = Entity(alert.entity_kind, alert.entity_value)
    try:
        database = Database(path, readonly=True)
        try:
            live = AlertSelectors(database, RiskModel())
            found = live.alert(alert.live_key)
            if found is None:
                return None
            now = int(timezone.now().timestamp() * 1_000_000)
            reckoned = live.risk(entity, found.alert.unit, now)
        finally:
            database.close()
    except (AlertStoreError, ValueError) as error:
        _log.warning("risk not read", error=str(error))
        return None
    if not reckoned.score:
        return None
    keys = [each.alert_id for each in reckoned.contributions]
    visible = dict(
        Alert.objects.visible_to(user).filter(live_key__in=keys).order_by("id").values_list("live_key", "pk")
    )
    if scope_ids(user) is None or (_is_local(alert) and all(each in visible for each in keys)):
        shares = tuple(_share(each, visible) for each in reckoned.contributions[:_LISTED])
        rest = reckoned.others + sum(each.value for each in reckoned.contributions[_LISTED:])
        return RiskShown(
            reckoned.score, reckoned.multiplier, _tactic_names(reckoned.tactics), shares, rest, only_visible=False
        )
    # An address or a domain is the same everywhere, and a source may serve several units: of other units' alerts
    # nothing is told.
    mine = [each for each in reckoned.contributions if each.alert_id in visible]
    if not mine:
        return None
    served = tuple(sorted({name for each in mine for name in each.tactics}))
    factor = multiplier_of(len(served))
    shares = tuple(_share(each, visible) for each in mine[:_LISTED])
    rest = sum(each.value for each in mine[_LISTED:])
    total = sum(each.value for each in mine)
    return RiskShown(total * factor, factor, _tactic_names(served), shares, rest, only_visible=True)


def _is_local(alert: Alert) -> bool:
    """Whether the entity's name means something within its unit only."""
    try:
        return Entity(alert.entity_kind, alert.entity_value).is_local
    except ValueError:  # what somebody typed as an address
        return True


def _share(each: Contribution, visible: dict[str, int]) -> RiskShare:
    pk = visible.get(each.alert_id, 0)
    return RiskShare(pk, each.title if pk else "", each.level, each.count, each.value)


def _tactic_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(TACTICS[name][1] if name in TACTICS else name for name in names)


def attack(tags: Any) -> tuple[tuple[Technique, ...], tuple[str, ...]]:
    """The techniques in an alert's tags, and tactics that none of them serves."""
    texts = [str(tag) for tag in tags] if isinstance(tags, list) else []
    found = []
    served: set[str] = set()
    for technique, names in placed(texts):
        served.update(names)
        parent, _dot, _sub = technique.partition(".")
        name = technique_name(technique)
        if technique != parent and technique_name(parent):
            name = f"{technique_name(parent)}: {name}" if name else technique_name(parent)
        url = f"https://attack.mitre.org/techniques/{technique.replace('.', '/')}/"
        found.append(Technique(technique, name, url, _tactic_names(tuple(names))))
    return tuple(found), _tactic_names(tuple(name for name in tactics(texts) if name not in served))


def web_links(references: Any) -> list[str]:
    """The references that are addresses of https pages; anything else is no link."""
    found = []
    for each in list(references)[:20]:
        try:
            parts = urlsplit(str(each))
        except ValueError:
            continue
        if parts.scheme == "https" and parts.hostname and not parts.username:
            found.append(str(each))
    return found


def related_incidents(user: User, alert: Alert) -> QuerySet[Any]:
    """Open incidents that the alert could be linked to, the newest first."""
    from khien.console.incidents.models import Incident, IncidentStatus

    ended = (IncidentStatus.CLOSED, IncidentStatus.MERGED)
    return Incident.objects.visible_to(user).exclude(status__in=ended).order_by("-id")
