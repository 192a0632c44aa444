"""Who is told what of an incident: only those who see it."""

from __future__ import annotations

from collections.abc import Iterable

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_noop

from khien.console.accounts.models import User
from khien.console.accounts.roles import roles_with
from khien.console.incidents.models import Incident, IncidentStatus, Tlp
from khien.console.notifications.services import notify

LEADS = gettext_noop("You lead incident %(number)s: %(title)s")
HELPS = gettext_noop("You are in the team of incident %(number)s: %(title)s")
SERIOUS = gettext_noop("Serious incident %(number)s: %(title)s")
STATES = {
    IncidentStatus.OPEN: gettext_noop("Incident %(number)s is open again: %(title)s"),
    IncidentStatus.CONTAINED: gettext_noop("Incident %(number)s is contained: %(title)s"),
    IncidentStatus.RESOLVED: gettext_noop("Incident %(number)s is resolved: %(title)s"),
    IncidentStatus.CLOSED: gettext_noop("Incident %(number)s is closed: %(title)s"),
    IncidentStatus.MERGED: gettext_noop("Incident %(number)s was merged into another: %(title)s"),
}


def who_see(incident: Incident, people: Iterable[User]) -> list[User]:
    """Those of some people who may see the incident."""
    once = {person.pk: person for person in people}
    return [user for user in once.values() if Incident.objects.visible_to(user).filter(pk=incident.pk).exists()]


def workers(incident: Incident) -> list[User]:
    """Leader and team; where nobody leads, who opened it and those who may lead."""
    named = [*([incident.leader] if incident.leader else []), *incident.team.all()]
    if incident.leader is None:
        named += [incident.created_by] if incident.created_by else []
        named += with_capability("incidents.lead")
    return who_see(incident, named)


def superiors(incident: Incident) -> list[User]:
    """The chair, and all who may lead."""
    return who_see(incident, [*with_capability("incidents.sensitive"), *with_capability("incidents.lead")])


def with_capability(capability: str) -> list[User]:
    """Active people whose role has it."""
    return list(User.objects.filter(is_active=True, role__in=roles_with(capability)))


def tell(
    incident: Incident,
    people: Iterable[User],
    kind: str,
    text: str,
    *,
    besides: User | None = None,
    urgent: bool = False,
    **params: str,
) -> None:
    """Tell people of the incident, save the one who did it."""
    try:
        url = reverse("incidents:detail", args=[incident.pk])
    except NoReverseMatch:
        url = ""
    chosen = who_see(incident, [each for each in people if besides is None or each.pk != besides.pk])
    words = {"number": incident.number, "title": incident.title, **params}
    secret = incident.tlp in (Tlp.RED, Tlp.AMBER_STRICT)  # then a mail says the number, and no more
    sensitive = [name for name in words if name != "number"] if secret else []
    notify(chosen, kind, text, words, url=url, urgent=urgent, sensitive=sensitive)
