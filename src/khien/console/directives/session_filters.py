"""The filters of the lists of sessions and of directives."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from khien.console.accounts.models import User
from khien.console.directives.models import OWED, Directive, DirectiveState, SessionKind, SessionState
from khien.console.directives.models.directives import DirectiveQuerySet
from khien.console.directives.models.sessions import SessionQuerySet
from khien.console.directives.selectors import search_directives
from khien.console.units.folding import saying
from khien.console.units.scoping import scope_ids


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """What is asked for. States and kinds there are not are left out."""

    q: str = ""
    state: str = ""
    kind: str = ""

    def of(self, sessions: SessionQuerySet) -> SessionQuerySet:
        """Those of some sessions that are asked for."""
        if self.q.strip():
            sessions = sessions.filter(saying(self.q))
        if self.state in SessionState.values:
            sessions = sessions.filter(state=self.state)
        if self.kind in SessionKind.values:
            sessions = sessions.filter(kind=self.kind)
        return sessions


@dataclass(frozen=True, slots=True)
class DirectiveFilter:
    """What is asked for. `session`: from which they come; `overdue`: only those that a unit is late with."""

    q: str = ""
    state: str = ""
    session: int | None = None
    overdue: bool = False

    def of(self, directives: DirectiveQuerySet, user: User) -> DirectiveQuerySet:
        """Those of some directives that are asked for; a person learns only of the lateness of units they see."""
        if self.q.strip():
            found = search_directives(user, self.q.strip())
            directives = directives.filter(pk__in=found.order_by().values("pk"))
        if self.state in DirectiveState.values:
            directives = directives.filter(state=self.state)
        if self.session is not None:
            directives = directives.filter(conclusion__session=self.session)
        if self.overdue:
            late = Q(tasks__state__in=OWED, tasks__due_at__lt=timezone.now())
            if (ids := scope_ids(user)) is not None:
                late &= Q(tasks__unit__in=ids)
            directives = directives.filter(pk__in=Directive.objects.filter(late).order_by().values("pk"))
        return directives
