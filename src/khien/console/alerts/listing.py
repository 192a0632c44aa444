"""A page of the queue, put together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db.models import Max

from khien.console.accounts.models import User
from khien.console.accounts.roles import roles_with
from khien.console.alerts import picture, scanning
from khien.console.alerts.branches import After
from khien.console.alerts.criteria import Criteria
from khien.console.alerts.language import FilterError
from khien.console.alerts.models import Alert
from khien.console.alerts.picture import Group, Histogram
from khien.console.alerts.state import State, after_of, after_of_search, unassigned
from khien.console.incidents.models import Incident
from khien.console.units.scoping import sees_unit

PAGE = 50
MOST_COUNTED = 10_000
MOST_EXPORTED = 200_000


@dataclass(slots=True)
class Listing:
    """What a page shows. `count`: how many match, as far as `is_exact`; None where that is not known.

    `next`: where the following page begins. `stopped`: a search's time was up before the page was full.
    `upto`: the newest alert there was, so that "all that match" means those one saw counted.
    """

    alerts: list[Alert] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    groups_reached: bool = False
    count: int | None = None
    is_exact: bool = True
    next: str = ""
    stopped: bool = False
    histogram: Histogram | None = None
    unassigned: int = 0
    upto: int = 0
    error: FilterError | None = None


def listing(user: User, state: State) -> Listing:
    """A page of the queue for a person; a filter that cannot be read gives an empty one that says why."""
    page = Listing(upto=newest(), unassigned=scanning.count(unassigned(user), MOST_COUNTED))
    try:
        found = state.criteria(user)
    except FilterError as error:
        page.error = error
        return page
    if state.group:
        page.groups, page.groups_reached = picture.groups(found, state.group)
        _count(page, found)
    else:
        _fill(page, found, state, user)
    page.histogram = picture.histogram(found, page.count if page.count is not None else MOST_COUNTED + 1)
    return page


def newest() -> int:
    """The id of the newest alert."""
    return Alert.objects.aggregate(newest=Max("id"))["newest"] or 0


def rows(ids: list[int], user: User) -> list[Alert]:
    """Alerts by id in that order, with what a list shows of them; for looking only, not to be saved."""
    seen = Alert.objects.visible_to(user).filter(pk__in=ids).select_related("unit", "system", "owner", "incident")
    by_id = {alert.pk: alert for alert in seen.defer("entities", "sources")}
    linked = {alert.incident_id for alert in by_id.values() if alert.incident_id}
    known = set(Incident.objects.visible_to(user).filter(pk__in=linked).values_list("id", flat=True)) if linked else ()
    for alert in by_id.values():
        if alert.incident_id not in known:
            alert.incident = None  # shown only; that a sensitive incident exists is not told
        if alert.system and not sees_unit(user, alert.system.unit_id):
            alert.system = None  # it was given to a unit that the person does not see
    return [by_id[pk] for pk in ids if pk in by_id]


def everything(user: User, state: State) -> Iterator[Alert]:
    """All alerts that match, page by page, for an export. Raises FilterError."""
    found, after, given = state.criteria(user), None, 0
    while given < MOST_EXPORTED:
        page = scanning.find(found, state.sort, after, 1_000)
        alerts = rows(page.ids, user)
        yield from alerts
        given += len(alerts)
        if not page.more:
            return
        if page.stopped is not None:
            after = After(id=page.stopped)
        elif page.ids:
            last = alerts[-1] if alerts else Alert.objects.get(pk=page.ids[-1])
            after = After(last.last_at, last.pk, last.level, last.count)


def owners(user: User) -> list[User]:
    """People to give alerts to."""
    people = User.objects.visible_to(user).filter(is_active=True, role__in=roles_with("alerts.work"))
    return list(people.select_related("unit").order_by("name")[:500])


def _fill(page: Listing, found: Criteria, state: State, user: User) -> None:
    result = scanning.find(found, state.sort, state.after, PAGE)
    page.alerts = rows(result.ids, user)
    page.stopped = result.stopped is not None
    if result.more and (page.stopped or page.alerts):
        page.next = after_of(page.alerts[-1]) if not page.stopped else after_of_search(result.stopped or 0)
    if not result.more and state.after is None:
        page.count = len(result.ids)
    else:
        _count(page, found)


def _count(page: Listing, found: Criteria) -> None:
    if found.texts:
        return
    page.count = picture.total(found)
    if page.count is None:
        counted = scanning.count(found, MOST_COUNTED)
        page.count, page.is_exact = min(counted, MOST_COUNTED), counted <= MOST_COUNTED
