"""The queue of alerts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy
from django.views.decorators.http import require_GET

from khien.console.accounts.access import needs
from khien.console.accounts.models import User
from khien.console.alerts import cells
from khien.console.alerts.language import FilterError, Query
from khien.console.alerts.listing import PAGE, Listing, everything, listing, owners
from khien.console.alerts.models import Level, SavedView, Verdict
from khien.console.alerts.picture import Group
from khien.console.alerts.state import COLUMNS, GROUPS, State
from khien.console.incidents.catalogue import grouped_classes
from khien.console.spreadsheets.exports import export_response
from khien.console.units.models import Unit

LEVELS = (
    ("", gettext_lazy("Any level")),
    ("high,critical", gettext_lazy("High and above")),
    ("medium,high,critical", gettext_lazy("Medium and above")),
    *((level.word, level.label) for level in reversed(Level)),
)
STATES = (
    ("", gettext_lazy("Any state")),
    ("new,in_progress", gettext_lazy("Open")),
    ("new", gettext_lazy("New")),
    ("in_progress", gettext_lazy("In progress")),
    ("closed", gettext_lazy("Closed")),
)
VERDICTS = (("", gettext_lazy("Any verdict")), *((value, label) for value, label in Verdict.choices if value))
PERIODS = (
    ("", pgettext_lazy("period", "Any time")),
    ("1h", gettext_lazy("Last hour")),
    ("24h", gettext_lazy("Last 24 hours")),
    ("7d", gettext_lazy("Last 7 days")),
    ("30d", gettext_lazy("Last 30 days")),
)


@require_GET
@needs("alerts.view")
def queue(request: HttpRequest) -> HttpResponse:
    """Alerts by filter, order and group; for a part of the page asked for by script, the list alone."""
    state = State.of(request.GET)
    narrowed = chosen(request.GET, state)
    if narrowed is not None:
        return redirect(reverse("alerts:queue") + narrowed.address())
    if "export" in request.GET:
        try:
            return export(request, state)
        except FilterError:
            return redirect(reverse("alerts:queue") + state.address())
    part = request.headers.get("HX-Request-Type") == "partial"
    page = listing(request.user, state)
    context = {
        "state": state,
        "page": page,
        "groups_shown": narrowed_groups(state, page),
        **frame(request.user, state, page),
    }
    if not part:
        context |= around(request.user, state)
        context["wrong"] = wrong_part(state.text, page.error)
    response = render(request, "alerts/queue_list.html" if part else "alerts/queue.html", context)
    patch_vary_headers(response, ["HX-Request-Type"])
    return response


def chosen(given: QueryDict, state: State) -> State | None:
    """The state with what was chosen in the lists put into the filter; None when nothing was."""
    query = state.query
    for key in ("level", "status", "unit", "verdict", "since"):
        wanted = given.get(f"set-{key}")
        if wanted is not None and wanted != given.get(f"was-{key}", ""):
            query = query.with_term(key, [each for each in wanted.split(",") if each])
    if state.error is not None or query == state.query:
        return state if any(name.startswith(("set-", "was-", "col")) and name != "cols" for name in given) else None
    return state.with_query(query)


def wrong_part(text: str, error: FilterError | None) -> dict[str, str]:
    """The filter in three parts, the middle one wrong."""
    if error is None:
        return {}
    return {"before": text[: error.start], "part": text[error.start : error.end], "after": text[error.end :]}


def narrowed_groups(state: State, page: Listing) -> list[tuple[Group, str]]:
    """Groups with the address that shows what is in them."""
    found = []
    for group in page.groups:
        query = state.query
        if state.group == "day":
            day = date.fromisoformat(group.value)
            query = query.with_term("since", [group.value]).with_term("until", [str(day + timedelta(days=1))])
        elif group.value:
            alone = "=" if state.group == "unit" and group.value != "none" else ""  # without the units below it
            query = query.with_term(state.group, [f"{alone}{group.value}"])
        found.append((group, replace(state.with_query(query), group="").address()))
    return found


def frame(user: User, state: State, page: Listing) -> dict[str, Any]:
    """What the list itself needs."""
    columns = [(name, COLUMNS[name]) for name in state.columns]
    may_work = user.may("alerts.work")
    return {
        "columns": columns,
        "rows_html": cells.rows(page.alerts, columns, ticks=may_work),
        "bars_html": cells.bars(page.histogram) if page.histogram else "",
        "sorts": {"last": state.address(sort=""), **{name: state.address(sort=name) for name in ("level", "count")}},
        "may_work": may_work,
        "first": state.address(),
        "cleared": replace(state, text="", query=Query()).address(),
        "unassigned_url": State(tab="unassigned").address(),
        "groups_shown": narrowed_groups(state, page),
        "group_label": GROUPS.get(state.group, ""),
        "next_url": state.address(after=page.next),
        "page_size": PAGE,
    }


def around(user: User, state: State) -> dict[str, Any]:
    """What stands around the list."""
    tabs = [
        {"name": name, "label": label, "url": State(tab=name, sort=state.sort, columns=state.columns).address()}
        for name, label in (("mine", _("Mine")), ("unassigned", _("Unassigned")), ("all", _("All")))
    ]
    units = Unit.objects.visible_to(user).filter(is_active=True).order_by("name").values_list("code", "name")[:1_000]
    lists = [
        _list("level", _("Level"), LEVELS, state),
        _list("status", _("State"), STATES, state),
        _list("unit", _("Unit"), [("", _("Any unit")), *units], state),
        _list("verdict", _("Verdict"), VERDICTS, state),
        _list("since", _("Time"), PERIODS, state),
    ]
    views = list(SavedView.objects.visible_to(user).select_related("owner")[:200])
    return {
        "tabs": tabs,
        "lists": lists,
        "groups": [(name, label, replace(state, group=name).address()) for name, label in _groups()],
        "all_columns": COLUMNS.items(),
        "current_view": next((view for view in views if "?" + view.query == state.address()), None),
        "views": views,
        "owners": owners(user) if user.may("alerts.work") else [],
        "classes": grouped_classes(),
        "verdicts": [(value, label) for value, label in Verdict.choices if value],
        "promote": _address("incidents:new") if user.may("incidents.work") else "",
        "new": _address("alerts:new") if user.may("alerts.work") else "",
        "exceptions": _address("alerts:exceptions"),
        "words": words(),
    }


def _groups() -> list[tuple[str, Any]]:
    return [("", _("No groups")), *GROUPS.items()]


def _list(key: str, label: str, options: Any, state: State) -> dict[str, Any]:
    current = ",".join(state.query.values(key))
    known = [(value, str(text)) for value, text in options]
    if current not in dict(known):
        known.append((current, current))
    return {"key": key, "label": label, "options": known, "current": current}


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def words() -> dict[str, str]:
    """What the page's script says."""
    return {
        "new_one": _("1 new alert"),
        "new_many": _("%(n)s new alerts"),
        "selected_one": _("1 selected"),
        "selected_many": _("%(n)s selected"),
        "all_selected": _("All %(n)s that match are selected"),
        "newest_selected": _("The newest 10,000 that match are selected"),
        "matching_selected": _("All that match are selected, 10,000 at most"),
        "undo": _("Undo"),
        "failed": _("That did not work. Nothing was changed; try again."),
        "nothing": _("Choose an alert first."),
        "too_many": _("Choose at most 200 alerts for an incident."),
    }


def export(request: HttpRequest, state: State) -> HttpResponse:
    """All that match, as a spreadsheet with every column."""
    found = everything(request.user, state)
    state.criteria(request.user)  # a filter that cannot be read is told of before anything is written
    columns = [
        (_("Number"), "pk"),
        (_("Level"), "get_level_display"),
        (_("What"), "title"),
        (_("Rule"), "rule_id"),
        (_("ATT&CK"), lambda alert: ", ".join(alert.tags)),
        (_("Entity"), "entity_value"),
        (_("Unit"), lambda alert: alert.unit.name if alert.unit else ""),
        (_("System"), lambda alert: alert.system.name if alert.system else ""),
        (_("Count"), "count"),
        (_("First"), "first_at"),
        (_("Last"), "last_at"),
        (_("State"), "get_status_display"),
        (_("Verdict"), lambda alert: alert.get_verdict_display() if alert.verdict else ""),
        (_("Class"), "classification"),
        (_("Reason"), "reason"),
        (pgettext("alert", "Owner"), lambda alert: alert.owner.name if alert.owner else ""),
        (_("Incident"), lambda alert: alert.incident.number if alert.incident else ""),
    ]
    return export_response(request, "alerts", _("Alerts"), columns, found)
