"""The left rail: what there is to open, and which capability opens it."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.models import User
from khien.console.units.scoping import scope_ids


@dataclass(frozen=True, slots=True)
class Door:
    """An entry of the rail. `key`: pressed after `g`, it opens the page. `also`: pages elsewhere that belong to it.
    `whole`: only for those who see all units.
    """

    name: str
    label: Promise
    icon: str
    capability: str
    key: str = ""
    also: tuple[str, ...] = ()
    whole: bool = False

    @property
    def url(self) -> str:
        """Where it leads; "" while there is no such page."""
        try:
            return reverse(self.name)
        except NoReverseMatch:
            return ""


DOORS = (
    Door("alerts:queue", _("Alerts"), "bell-ringing", "alerts.view", "a"),
    Door("incidents:list", _("Incidents"), "urgent", "incidents.view", "i"),
    Door("work", _("My work"), "checklist", "work", "w", ("tasks:list",)),
    Door("directives:list", _("Directives"), "gavel", "directives.view", "d"),
    Door("sessions:list", _("Sessions"), "presentation", "directives.view", "s"),
    Door("systems:list", _("Systems"), "server-2", "systems.view", "y"),
    Door("units:list", _("Units"), "sitemap", "units.view", "u"),
    Door("accounts:users", _("People"), "users", "users.manage", "p"),
    Door("audit:list", _("Audit trail"), "shield-search", "audit.view", "l"),
    Door("console_settings", _("Settings"), "settings", "settings.manage", "t", whole=True),
)


def _opens(door: Door, user: User) -> bool:
    return user.may(door.capability) and (not door.whole or scope_ids(user) is None)


def doors_for(user: User, path: str) -> list[dict[str, object]]:
    """The entries a person may open; `current` is the one the path lies under."""
    open_doors = [(door, door.url) for door in DOORS if _opens(door, user)]
    found = [{"door": door, "url": url, "current": False} for door, url in open_doors if url]
    under = [
        (len(start), each)
        for each, door in zip(found, (door for door, url in open_doors if url), strict=True)
        for start in (door.url, *map(reverse, door.also))
        if path.startswith(start)
    ]
    if under:
        max(under, key=lambda pair: pair[0])[1]["current"] = True
    return found
