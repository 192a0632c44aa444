"""The state of the queue as its address holds it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.accounts.models import User
from khien.console.alerts import language
from khien.console.alerts.branches import After
from khien.console.alerts.criteria import OPEN, Criteria, criteria, seen_by
from khien.console.alerts.language import FilterError, Query
from khien.console.alerts.models import Alert
from khien.console.alerts.scanning import SORTS

TABS = ("mine", "unassigned", "all")
GROUPS: dict[str, Promise] = {
    "rule": _("Rule"),
    "entity": _("Entity"),
    "unit": _("Unit"),
    "level": _("Level"),
    "day": _("Day"),
}
COLUMNS: dict[str, Promise] = {
    "level": _("Level"),
    "what": pgettext_lazy("alert", "What"),
    "rule": _("Rule"),
    "tags": _("ATT&CK"),
    "entity": _("Entity"),
    "unit": _("Unit"),
    "system": _("System"),
    "count": _("Count"),
    "first": _("First"),
    "last": _("Last"),
    "arrived": _("Arrived"),
    "state": _("State"),
    "verdict": _("Verdict"),
    "incident": _("Incident"),
    "owner": pgettext_lazy("alert", "Owner"),
}
USUAL = ("level", "what", "entity", "unit", "count", "last", "state", "owner")
_NAMES = ("tab", "q", "sort", "group", "cols", "after", "open")


@dataclass(frozen=True, slots=True)
class State:
    """What the queue shows. `query`: the filter that was read, or nothing when `error` says why it cannot be."""

    tab: str = "all"
    text: str = ""
    query: Query = field(default_factory=Query)
    error: FilterError | None = None
    sort: str = "last"
    group: str = ""
    columns: tuple[str, ...] = USUAL
    after: After | None = None
    open: int | None = None

    @classmethod
    def of(cls, given: QueryDict | Mapping[str, str]) -> State:
        """From an address; what cannot be understood is as if it were not there."""
        text = given.get("q", "").strip()
        query, error = Query(), None
        try:
            query = language.read(text)
        except FilterError as wrong:
            error = wrong
        chosen = given.getlist("col") if isinstance(given, QueryDict) else []
        chosen = chosen or given.get("cols", "").split(",")
        columns = tuple(name for name in COLUMNS if name in chosen)
        opened = given.get("open", "")
        after = _read_after(given.get("after", ""))
        if after is not None and after.last_at is None and not query.texts:
            after = None
        return cls(
            given.get("tab", "") if given.get("tab") in TABS else "all",
            text,
            query,
            error,
            given.get("sort", "") if given.get("sort") in SORTS and not query.texts else "last",
            given.get("group", "") if given.get("group") in GROUPS else "",
            columns if "what" in columns else USUAL,
            after,
            int(opened) if opened.isascii() and opened.isdigit() and len(opened) < 18 else None,
        )

    @property
    def shows_own_columns(self) -> bool:
        """Whether the columns were chosen."""
        return self.columns != USUAL

    def criteria(self, user: User, *, now: datetime | None = None) -> Criteria:
        """What it asks for, within what a person sees. Raises FilterError."""
        if self.error is not None:
            raise self.error
        return self.in_tab(criteria(self.query, user, now=now or timezone.now()), user)

    def in_tab(self, found: Criteria, user: User) -> Criteria:
        """Narrowed to what the tab shows."""
        if self.tab == "mine":
            return found.within("owner_id", [user.pk]).within("status", OPEN)
        if self.tab == "unassigned":
            return found.within("owner_id", [None]).within("status", OPEN)
        return found

    def with_query(self, query: Query) -> State:
        """With another filter, from its beginning."""
        return replace(self, text=str(query), query=query, error=None, after=None, open=None)

    def address(self, **changes: Any) -> str:
        """The query string, with changes; what is as usual is left out."""
        values: dict[str, Any] = {
            "tab": "" if self.tab == "all" else self.tab,
            "q": self.text,
            "sort": "" if self.sort == "last" else self.sort,
            "group": self.group,
            "cols": "" if self.columns == USUAL else ",".join(self.columns),
            "after": "",
            "open": "",
        }
        values |= {name: value for name, value in changes.items() if name in _NAMES}
        found = {name: value for name, value in values.items() if value}
        return "?" + urlencode(found) if found else "?"


def after_of_search(stopped: int) -> str:
    """Where a search goes on, for the address. `stopped`: the id until which it had come."""
    return _write([None, stopped, 0, 0])


def after_of(alert: Alert) -> str:
    """Where the page after an alert begins, for the address."""
    return _write([alert.last_at.isoformat(), alert.pk, alert.level, alert.count])


def unassigned(user: User) -> Criteria:
    """Open alerts that nobody has taken on."""
    return State(tab="unassigned").in_tab(seen_by(user), user)


def _write(values: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _read_after(text: str) -> After | None:
    if not text or len(text) > 200:
        return None
    try:
        at, pk, level, count = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        moment = datetime.fromisoformat(at) if at is not None else None
        if moment is not None and timezone.is_naive(moment):
            return None
        pk, level, count = int(pk), int(level), int(count)
    except (ValueError, TypeError, binascii.Error, UnicodeDecodeError):
        return None
    return After(moment, pk, level, count) if max(abs(pk), abs(level), abs(count)) < 1 << 60 else None
