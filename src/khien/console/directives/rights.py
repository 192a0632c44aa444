"""Who may do what to a task one sees."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.utils.translation import gettext as _

from khien.console.accounts.models import User
from khien.console.accounts.roles import roles_with
from khien.console.directives.models import Task, TaskState
from khien.console.units.models import Unit
from khien.console.units.scoping import scope_ids


class NotYours(PermissionDenied):
    """The person sees the task and has no say in it."""


def handles(user: User, task: Task) -> bool:
    """Whether the person works on it: it is handed to them, or it is of their unit or one below.

    Those who see all units do so by their office, not by the tree: they handle the tasks of their own unit.
    """
    if not user.may("tasks.work"):
        return False
    if user.pk == task.assignee_id or user.unit_id == task.unit_id:
        return True
    ids = scope_ids(user)
    return ids is not None and task.unit_id in ids


def checks(user: User, task: Task) -> bool:
    """Whether the person checks it, grants more time and cancels it.

    A task of an incident: its leader; without one, as of others. Of a directive: who may check and sees all units.
    Of neither: also who may check and stands above the unit. Nobody checks what they reported finished themselves,
    save an incident's leader.
    """
    if task.incident_id and task.incident.leader_id:
        return task.incident.leader_id == user.pk and user.is_active
    if not user.may("tasks.check") or (task.finished_by_id == user.pk and task.state == TaskState.FINISHED):
        return False
    ids = scope_ids(user)
    if ids is None:
        return True
    return task.directive_id is None and task.unit_id in ids and task.unit_id != user.unit_id


def checkable(user: User) -> Q:
    """The condition that a person checks a task, as `checks` has it."""
    found = Q(incident__leader=user.pk)
    if user.may("tasks.check"):
        free = Q(incident__isnull=True) | Q(incident__leader__isnull=True)
        ids = scope_ids(user)
        if ids is not None:
            free &= Q(directive__isnull=True, unit__in=ids) & ~Q(unit=user.unit_id)
        found |= free & ~Q(finished_by=user.pk, state=TaskState.FINISHED)
    return found


def handled(user: User) -> Q:
    """The condition that a person works on a task, as `handles` has it."""
    ids = scope_ids(user)
    return Q(assignee=user.pk) | (Q(unit=user.unit_id) if ids is None else Q(unit__in=ids))


def demand_handles(user: User, task: Task) -> None:
    """Raises NotYours for a person who does not work on the task."""
    if not handles(user, task):
        raise NotYours(_("This task is of another unit."))


def demand_checks(user: User, task: Task) -> None:
    """Raises NotYours for a person who does not check the task."""
    if not checks(user, task):
        raise NotYours(_("This task is checked by somebody else."))


def demand_office(user: User) -> None:
    """Raises NotYours for a person who does not see all units: sessions and directives are of the whole province."""
    if scope_ids(user) is not None:
        raise NotYours(_("Sessions and directives are prepared by units that see all units."))


def prepares(user: User) -> bool:
    """Whether a person prepares sessions and directives."""
    return user.may("sessions.prepare") and scope_ids(user) is None


def people_of(unit: Unit, capability: str = "tasks.work") -> list[User]:
    """Active people of a unit whose role has a capability; where it has none, of the nearest unit above that has."""
    above = [int(pk) for pk in unit.path.split(".") if pk]
    found: dict[int, list[User]] = {}
    for user in User.objects.filter(unit__in=above, is_active=True, role__in=roles_with(capability)):
        found.setdefault(user.unit_id, []).append(user)
    return next((found[pk] for pk in reversed(above) if pk in found), [])


def standing_office() -> list[User]:
    """Those who check what units report: of units that see all, save who issues directives."""
    roles = set(roles_with("tasks.check")) - set(roles_with("directives.issue"))
    return list(User.objects.filter(is_active=True, role__in=roles, unit__kind__oversees=True))


def chairs() -> list[User]:
    """Those who issue directives."""
    return list(User.objects.filter(is_active=True, role__in=roles_with("directives.issue"), unit__kind__oversees=True))


def checkers(task: Task) -> list[User]:
    """Who is told that a task waits for a check: the incident's leader, or the standing office, or the chair."""
    if task.incident_id and task.incident.leader_id and task.incident.leader.is_active:
        return [task.incident.leader]
    return standing_office() or chairs()


def who_see(task: Task, people: Iterable[User]) -> list[User]:
    """Those of some people who see the task: nobody is told of what they may not see."""
    return [user for user in people if Task.objects.visible_to(user).filter(pk=task.pk).exists()]
