"""Roles, and what each may do. A capability is asked for by views and services; nothing asks for a role."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a person is in the work of the subcommittee."""

    ADMINISTRATOR = "administrator", _("Administrator")
    CHAIR = "chair", _("Chair")
    ANALYST = "analyst", _("Analyst")
    DUTY_OFFICER = "duty_officer", _("Duty officer")
    PRESS_OFFICER = "press_officer", _("Press officer")
    TELECOM_LIAISON = "telecom_liaison", _("Telecom liaison")
    AUDITOR = "auditor", _("Auditor")


PRIVILEGED = frozenset((Role.ADMINISTRATOR, Role.CHAIR, Role.ANALYST, Role.AUDITOR))
"""Roles that have to sign in with a second factor."""

_EVERYONE = {"work", "units.view", "directives.view", "tasks.work", "notifications"}
CAPABILITIES: dict[str, frozenset[str]] = {
    Role.ADMINISTRATOR: frozenset(
        _EVERYONE | {"units.manage", "users.manage", "systems.view", "systems.manage", "settings.manage"}
    ),
    Role.CHAIR: frozenset(
        _EVERYONE
        | {"alerts.view", "incidents.view", "incidents.sensitive", "systems.view"}
        | {"sessions.prepare", "directives.issue", "tasks.check"}
    ),
    Role.ANALYST: frozenset(
        _EVERYONE
        | {"alerts.view", "alerts.work", "alerts.except", "incidents.view", "incidents.work", "incidents.lead"}
        | {"systems.view", "systems.manage", "sessions.prepare", "tasks.check"}
    ),
    Role.DUTY_OFFICER: frozenset(
        _EVERYONE | {"alerts.view", "alerts.work", "incidents.view", "incidents.work", "systems.view"}
    ),
    Role.PRESS_OFFICER: frozenset(_EVERYONE),
    Role.TELECOM_LIAISON: frozenset(_EVERYONE),
    Role.AUDITOR: frozenset({"audit.view", "units.view", "work", "notifications", "tasks.work"}),
}


def roles_with(capability: str) -> list[str]:
    """The roles that have a capability, in the order of `Role`."""
    return [role.value for role in Role if capability in CAPABILITIES[role]]
