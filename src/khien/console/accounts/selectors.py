"""Reads of people that are more than a line."""

from __future__ import annotations

from datetime import timedelta

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from khien.console.accounts.adapter import FACTORS
from khien.console.accounts.lockout import is_locked
from khien.console.accounts.models import User, UserQuerySet
from khien.console.accounts.roles import Role, roles_with
from khien.console.frame.given import whole
from khien.console.units.folding import saying
from khien.console.units.models import Unit

SEEN = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30), "quarter": timedelta(days=90)}
"""Filter on when a person was last there: within so long; `never` and `silent` (not for 90 days) besides."""


def people_of(unit: Unit, capability: str) -> UserQuerySet:
    """Active people of a unit whose role has a capability."""
    return User.objects.filter(unit=unit, is_active=True, role__in=roles_with(capability))


def people_choices(user: User, capability: str = "") -> UserQuerySet:
    """Active people that a person may choose in a form, of those whose role has a capability."""
    people: UserQuerySet = User.objects.visible_to(user).filter(is_active=True).select_related("unit")
    return people.filter(role__in=roles_with(capability)) if capability else people


def search_people(user: User, text: str, most: int = 10) -> list[User]:
    """Active people one sees, by a part of name, e-mail, position or unit."""
    return list(matching(people_choices(user), text)[:most]) if text.strip() else []


def matching(people: UserQuerySet, text: str) -> UserQuerySet:
    """Those each of whose words stands somewhere in name, e-mail, position, phone or unit."""
    return people.filter(saying(text, "folded", "unit__folded"))


def with_states(people: UserQuerySet) -> UserQuerySet:
    """Each with `has_factor` and `locked`."""
    factors = Authenticator.objects.filter(user=OuterRef("pk"), type__in=FACTORS)
    return people.annotate(has_factor=Exists(factors), locked=is_locked()).select_related("unit")


def filtered(people: UserQuerySet, given: dict[str, str]) -> UserQuerySet:
    """The list by what stands in the URL: `q`, `unit`, `role`, `state`, `factor`, `seen`; unknown values do nothing."""
    people = with_states(people)
    if given.get("q"):
        people = matching(people, given["q"])
    if (unit := whole(given.get("unit"))) is not None:
        people = people.filter(unit_id=unit)
    if given.get("role") in Role.values:
        people = people.filter(role=given["role"])
    state = given.get("state", "")
    if state in ("active", "inactive"):
        people = people.filter(is_active=state == "active")
    elif state == "locked":
        people = people.filter(locked=True)
    if given.get("factor") in ("yes", "no"):
        people = people.filter(has_factor=given["factor"] == "yes")
    seen = given.get("seen", "")
    if seen in SEEN:
        people = people.filter(seen_at__gt=timezone.now() - SEEN[seen])
    elif seen == "silent":
        people = people.filter(Q(seen_at__lt=timezone.now() - SEEN["quarter"]) | Q(seen_at=None))
    elif seen == "never":
        people = people.filter(seen_at=None)
    return people


def left_behind(person: User) -> dict[str, int]:
    """How many open alerts, incidents and tasks wait for a person; only counts, whoever asks."""
    from khien.console.alerts.criteria import OPEN as UNDECIDED
    from khien.console.alerts.models import Alert
    from khien.console.directives.models import Task
    from khien.console.directives.models.tasks import OPEN
    from khien.console.incidents.models import WORKING, Incident

    return {
        "alerts": Alert.objects.filter(owner=person, status__in=UNDECIDED).count(),
        "incidents": Incident.objects.filter(leader=person, status__in=WORKING).count(),
        "tasks": Task.objects.filter(assignee=person, state__in=OPEN).count(),
    }
