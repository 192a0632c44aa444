"""Boards: how far units, persons and sessions are."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_safe

from khien.console.accounts.access import needs
from khien.console.directives.models import Session, Task
from khien.console.directives.selectors import board, counts
from khien.console.directives.templatetags.directives import ORDER, word
from khien.console.frame.given import whole
from khien.console.spreadsheets.exports import export_response


@require_safe
@needs("tasks.work")
def boards(request: HttpRequest) -> HttpResponse:
    """Counts by state for each unit, person or session (`by`); of one session with `session`."""
    by = request.GET.get("by", "unit")
    by = by if by in ("unit", "person", "session") else "unit"
    session = None
    if (pk := whole(request.GET.get("session"))) is not None:
        session = get_object_or_404(Session.objects.visible_to(request.user), pk=pk)
    rows = board(request.user, by, session=session.pk if session else None)
    names = {"unit": _("Unit"), "person": pgettext("task", "Person"), "session": _("Session")}
    if "export" in request.GET:
        columns = [(names[by], lambda row: row["name"] or _("Not handed to a person"))]
        columns += [(word(state), lambda row, state=state: row[state]) for state in ORDER]
        columns += [(_("All"), lambda row: row["all"])]
        return export_response(request, f"board-{by}", _("Board"), columns, rows)
    tasks = Task.objects.visible_to(request.user)
    if session:
        tasks = tasks.filter(directive__conclusion__session=session)
    for row in rows:
        row["cells"] = [(state, row[state]) for state in ORDER]
    context = {
        "by": by,
        "more": f"&session={session.pk}" if session else "",
        "names": names,
        "heading": names[by],
        "session": session,
        "counts": counts(tasks),
        "states": ORDER,
        "page": Paginator(rows, 100).get_page(request.GET.get("page")),
    }
    return render(request, "directives/boards.html", context)
