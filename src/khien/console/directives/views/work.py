"""My work: what is owed by oneself or one's unit, and what waits for one's check."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from khien.console.accounts.access import needs
from khien.console.accounts.models import User
from khien.console.alerts.criteria import OPEN
from khien.console.alerts.models import Alert
from khien.console.directives.models import Directive, DirectiveState
from khien.console.directives.selectors import work_of
from khien.console.directives.steps import next_step


@require_safe
@needs("work")
def work(request: HttpRequest) -> HttpResponse:
    """The page."""
    return render(request, "directives/work.html", board_context(request, request.GET.get("whose", "")))


def board_context(request: HttpRequest, whose: str, **extra: Any) -> dict[str, Any]:
    """What the columns show."""
    found = work_of(request.user, whose)
    for column in (*found.columns, found.checks):
        for task in column.tasks:
            task.next_step = next_step(request.user, task)
    return {
        "work": found,
        "alert_count": _alerts_of(request.user),
        "draft_count": _drafts_of(request.user),
        **extra,
    }


def _drafts_of(user: User) -> int:
    """Directives that wait for the person's signature."""
    if not user.may("directives.issue"):
        return 0
    return Directive.objects.visible_to(user).filter(state=DirectiveState.DRAFT).count()


def _alerts_of(user: User) -> int:
    if not user.may("alerts.view"):
        return 0
    return Alert.objects.visible_to(user).filter(owner=user.pk, status__in=OPEN).count()
