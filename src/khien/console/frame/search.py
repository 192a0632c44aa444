"""The search over everything: what a person may see of alerts, incidents, tasks, directives, systems, units, people."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from khien.console.accounts.access import needs
from khien.console.accounts.models import User
from khien.console.accounts.selectors import search_people
from khien.console.alerts import scanning
from khien.console.alerts.criteria import seen_by
from khien.console.alerts.listing import rows as alert_rows
from khien.console.alerts.models import Level, SeenRule
from khien.console.directives.selectors import search_directives, search_tasks
from khien.console.incidents.selectors import search_incidents
from khien.console.systems.selectors import search_systems
from khien.console.units.folding import saying
from khien.console.units.selectors import search_units

SHORTEST = 2
SUGGESTED = 5
LISTED = 25
SECONDS = 0.4
"""Suggestions that are not found by then are left to the page of results."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found. `level`: of an alert or incident, a word."""

    title: str
    meta: str
    url: str
    level: str = ""


@dataclass(slots=True)
class Group:
    """What was found of one kind. `all_url`: the list of that kind, filtered by the same text."""

    name: str
    label: Promise
    icon: str
    hits: list[Hit] = field(default_factory=list)
    all_url: str = ""


Find = Callable[[User, str, int], list[Hit]]


def _alerts(user: User, text: str, most: int) -> list[Hit]:
    """By the beginning of the entity, and by the rule's title."""
    seen = seen_by(user)
    ids: list[int] = []
    for form in dict.fromkeys((text, text.lower(), text.upper())):
        ids += scanning.find(replace(seen, prefix=form), most=most).ids
    rules = list(SeenRule.objects.filter(saying(text)).order_by("-seen_at").values_list("rule_id", flat=True)[:50])
    if rules and len(ids) < most:
        ids += scanning.find(seen.within("rule_id", rules), most=most).ids
    found = alert_rows(list(dict.fromkeys(ids))[:most], user)
    return [
        Hit(row.title, row.entity_value, reverse("alerts:detail", args=[row.pk]), Level(row.level).word)
        for row in found
    ]


def _incidents(user: User, text: str, most: int) -> list[Hit]:
    return [
        Hit(row.title, row.number, reverse("incidents:detail", args=[row.pk]), Level(row.level).word)
        for row in search_incidents(user, text, most)
    ]


def _tasks(user: User, text: str, most: int) -> list[Hit]:
    rows = search_tasks(user, text)[:most]
    return [Hit(row.title, str(row.unit), reverse("tasks:detail", args=[row.pk])) for row in rows]


def _directives(user: User, text: str, most: int) -> list[Hit]:
    rows = search_directives(user, text)[:most]
    return [Hit(row.title, row.label, reverse("directives:detail", args=[row.pk])) for row in rows]


def _systems(user: User, text: str, most: int) -> list[Hit]:
    rows = search_systems(user, text, most)
    return [Hit(row.name, str(row.unit), reverse("systems:detail", args=[row.pk])) for row in rows]


def _units(user: User, text: str, most: int) -> list[Hit]:
    return [Hit(row.name, row.code, reverse("units:detail", args=[row.pk])) for row in search_units(user, text, most)]


def _people(user: User, text: str, most: int) -> list[Hit]:
    """Their account for those who manage people, their unit for others."""
    manages = user.may("users.manage")
    return [
        Hit(
            row.name,
            f"{row.title or row.get_role_display()} · {row.unit}",
            reverse("accounts:user", args=[row.pk]) if manages else reverse("units:detail", args=[row.unit_id]),
        )
        for row in search_people(user, text, most)
    ]


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    label: Promise
    icon: str
    capability: str
    find: Find
    page: str
    parameter: str
    page_capability: str = ""


KINDS = (
    _Kind("units", _("Units"), "sitemap", "units.view", _units, "units:list", "text"),
    _Kind("systems", _("Systems"), "server-2", "systems.view", _systems, "systems:list", "text"),
    _Kind("incidents", _("Incidents"), "urgent", "incidents.view", _incidents, "incidents:list", "text"),
    _Kind("tasks", _("Tasks"), "checklist", "tasks.work", _tasks, "", ""),
    _Kind("directives", _("Directives"), "gavel", "directives.view", _directives, "", ""),
    _Kind("people", _("People"), "users", "units.view", _people, "accounts:users", "q", "users.manage"),
    _Kind("alerts", _("Alerts"), "bell-ringing", "alerts.view", _alerts, "alerts:queue", "q"),
)


def search(user: User, text: str, most: int, *, seconds: float | None = None) -> tuple[list[Group], bool]:
    """What a person may see that fits a text, by kind; and whether time was up before all kinds were looked at."""
    text = " ".join(unicodedata.normalize("NFC", text).replace("\0", "").split())[:100]
    groups: list[Group] = []
    if len(text) < SHORTEST:
        return groups, False
    started = time.monotonic()
    for kind in KINDS:
        if not user.may(kind.capability):
            continue
        if seconds is not None and time.monotonic() - started > seconds:
            return groups, True
        hits = kind.find(user, text, most)
        if hits:
            listed = kind.page and user.may(kind.page_capability or kind.capability)
            url = f"{reverse(kind.page)}?{urlencode({kind.parameter: text})}" if listed else ""
            groups.append(Group(kind.name, kind.label, kind.icon, hits, url))
    return groups, False


@require_GET
@needs("work")
def results(request: HttpRequest) -> HttpResponse:
    """`?q=`: all kinds, some of each, and where the rest is."""
    text = request.GET.get("q", "").strip()
    groups, _late = search(request.user, text, LISTED)
    context: dict[str, Any] = {"text": text, "groups": groups, "short": len(text) < SHORTEST}
    return render(request, "frame/search.html", context)


@require_GET
@needs("work")
def suggest(request: HttpRequest) -> HttpResponse:
    """`?q=`: a few of each kind, as options below the search box."""
    text = request.GET.get("q", "").strip()
    groups, late = search(request.user, text, SUGGESTED, seconds=SECONDS)
    context = {"text": text, "groups": groups, "late": late, "short": len(text) < SHORTEST}
    return render(request, "frame/suggestions.html", context)
