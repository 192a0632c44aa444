"""Pages of directives: the list, one with its units, drafting, issuing, amending and ending."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_POST, require_safe

from khien.console.accounts.access import needs
from khien.console.concurrency import Changed
from khien.console.directives import documents, issuing
from khien.console.directives.models import OPEN, Conclusion, Directive, DirectiveState, Session
from khien.console.directives.rights import demand_office, prepares
from khien.console.directives.selectors import directives_shown
from khien.console.directives.session_filters import DirectiveFilter
from khien.console.directives.session_forms import (
    AddUnitForm,
    AmendDueForm,
    DirectiveForm,
    IssueForm,
    RemoveUnitForm,
    VersionForm,
    WithdrawForm,
)
from khien.console.directives.templatetags.directives import bar_of
from khien.console.directives.views.attempts import attempt
from khien.console.directives.views.documents import document_response
from khien.console.frame.given import whole
from khien.console.spreadsheets.exports import export_response
from khien.console.units.models import Unit
from khien.console.units.scoping import scope_ids


@require_safe
@needs("directives.view")
def directive_list(request: HttpRequest) -> HttpResponse:
    """Directives one sees, the latest first; with `overdue` those that a unit is late with."""
    asked = {name: request.GET.get(name, "") for name in ("q", "state")}
    session, overdue = whole(request.GET.get("session", "")), request.GET.get("overdue") == "1"
    chosen = DirectiveFilter(**asked, session=session, overdue=overdue)
    found = chosen.of(directives_shown(request.user), request.user)
    if "export" in request.GET:
        return export_response(request, "directives", _("Directives"), _columns(), found)
    context = {
        "page": Paginator(found, 50).get_page(request.GET.get("page")),
        "states": DirectiveState.choices,
        "sessions": Session.objects.visible_to(request.user)[:100],
        "prepares": prepares(request.user),
    }
    return render(request, "directives/directive_list.html", context)


def _columns() -> list[tuple[Any, Any]]:
    def count(state: str) -> Any:
        return lambda each: sum(len(part["tasks"]) for part in bar_of(each.seen_tasks) if part["state"] == state)

    return [
        (_("Number"), "label"),
        (pgettext("directive", "Title"), "title"),
        (_("State"), "get_state_display"),
        (_("Session"), lambda each: each.conclusion.session.number if each.conclusion else ""),
        (_("Issued"), "issued_at"),
        (_("Due"), "due_at"),
        (_("Signed by"), "signer.name"),
        (_("Units"), lambda each: len(each.seen_tasks)),
        (_("Overdue"), count("overdue")),
        (_("Not accepted"), count("sent")),
        (pgettext("task", "In progress"), count("accepted")),
        (_("To be checked"), count("finished")),
        (_("Done"), count("done")),
    ]


def _get(request: HttpRequest, pk: int) -> Directive:
    return get_object_or_404(directives_shown(request.user), pk=pk)


@require_safe
@needs("directives.view")
def directive_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One directive: what it says, and how far each unit is."""
    directive = _get(request, pk)
    return render(request, "directives/directive_detail.html", detail_context(request, directive))


def detail_context(request: HttpRequest, directive: Directive, **bound: Any) -> dict[str, Any]:
    """What the page shows. `bound`: a form that came back with errors, by its name."""
    user = request.user
    ids = scope_ids(user)
    issues = user.may("directives.issue") and ids is None
    rows = directive.units.filter(removed_at=None).select_related("unit").order_by("unit__name")
    amendments = directive.amendments.select_related("unit", "by")
    if ids is not None:
        rows = rows.filter(unit__in=ids)
        amendments = amendments.filter(Q(unit=None) | Q(unit__in=ids))
    rows = list(rows)
    tasks = {task.unit_id: task for task in directive.seen_tasks}
    for row in rows:
        row.task = tasks.get(row.unit_id)
    rows.sort(key=lambda row: not (row.task and row.task.overdue))
    initial = {"version": directive.version}
    forms: dict[str, Any] = {}
    if issues and directive.state == DirectiveState.DRAFT:
        forms = {"issue": IssueForm(initial=initial, auto_id="id_issue_%s")}
    elif issues and directive.state == DirectiveState.ISSUED:
        told, others = amendable(request, directive)
        forms = {
            "amend_due": AmendDueForm(units=told, initial=initial, auto_id="id_due_%s"),
            "add_unit": AddUnitForm(units=others, initial=initial, auto_id="id_add_%s"),
            "remove_unit": RemoveUnitForm(units=told, initial=initial, auto_id="id_remove_%s"),
            "withdraw": WithdrawForm(initial=initial, auto_id="id_withdraw_%s"),
        }
    forms.update(bound)
    return {
        "directive": directive,
        "rows": rows,
        "amendments": list(amendments),
        "issues": issues,
        "prepares": prepares(user),
        "closable": directive.state == DirectiveState.ISSUED
        and not any(task.state in OPEN for task in directive.seen_tasks),
        "session_seen": directive.conclusion is not None
        and Session.objects.visible_to(user).filter(pk=directive.conclusion.session_id).exists(),
        "forms": forms,
    }


def amendable(request: HttpRequest, directive: Directive) -> tuple[Any, Any]:
    """Units that the directive tells, and active ones that it could."""
    told = directive.units.filter(removed_at=None).values("unit")
    seen = Unit.objects.visible_to(request.user)
    return seen.filter(pk__in=told), seen.filter(is_active=True).exclude(pk__in=told)


@needs("sessions.prepare")
def directive_new(request: HttpRequest) -> HttpResponse:
    """Draft a directive, from a conclusion with `?conclusion=`."""
    demand_office(request.user)
    initial: dict[str, Any] = {}
    if (pk := whole(request.GET.get("conclusion"))) is not None:
        rows = Conclusion.objects.filter(session__in=Session.objects.visible_to(request.user)).select_related("session")
        conclusion = get_object_or_404(rows, pk=pk)
        day = date_format(timezone.localtime(conclusion.session.starts_at), "d/m/Y")
        basis = _("Conclusion %(number)s of session %(session)s on %(day)s")
        initial = {
            "conclusion": conclusion.pk,
            "text": conclusion.text,
            "basis": basis % {"number": conclusion.number, "session": conclusion.session.number, "day": day},
        }
    form = DirectiveForm(request.POST or None, user=request.user, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            made = issuing.draft(request.user, **form.values())
        except ValidationError as error:
            form.add_error(None, error.messages)
        else:
            messages.success(request, _("The draft is saved. It is issued by the chair."))
            return redirect("directives:detail", made.pk)
    return render(request, "directives/directive_form.html", {"form": form, "directive": None})


@needs("sessions.prepare")
def directive_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a draft."""
    directive = _get(request, pk)
    demand_office(request.user)
    if directive.state != DirectiveState.DRAFT:
        return redirect("directives:detail", pk)
    form = DirectiveForm(request.POST or None, instance=directive, user=request.user)
    status = 200
    if request.method == "POST":
        status = attempt(form, lambda version: issuing.edit_draft(request.user, pk, version, **form.values()))
        if status == 200:
            messages.success(request, _("Saved."))
            return redirect("directives:detail", pk)
    return render(
        request, "directives/directive_form.html", {"form": form, "directive": _get(request, pk)}, status=status
    )


def _do(request: HttpRequest, pk: int, form: VersionForm, name: str, service: Any, done: str) -> HttpResponse:
    """What a form on a directive's page asks for; the page comes back with what was written if it cannot be done."""

    def work(version: int | None) -> None:
        values = {key: value for key, value in form.cleaned_data.items() if key != "version"}
        service(request.user, pk, version, **values)

    status = attempt(form, work)
    if status == 200:
        messages.success(request, done)
        return redirect("directives:detail", pk)
    context = detail_context(request, _get(request, pk), **{name: form})
    return render(request, "directives/directive_detail.html", context, status=status)


@require_POST
@needs("directives.issue")
def directive_issue(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign and issue a draft."""
    _get(request, pk)
    form = IssueForm(request.POST, auto_id="id_issue_%s")
    return _do(request, pk, form, "issue", issuing.issue, _("Issued. Each unit has its task."))


@require_POST
@needs("sessions.prepare")
def directive_discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Throw a draft away."""
    _get(request, pk)
    form = VersionForm(request.POST)
    if form.is_valid():
        try:
            issuing.discard(request.user, pk, form.cleaned_data["version"])
        except Changed as conflict:
            messages.error(request, str(conflict.message))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.success(request, _("The draft is discarded."))
            return redirect("directives:list")
    return redirect("directives:detail", pk)


@require_POST
@needs("directives.issue")
def directive_amend(request: HttpRequest, pk: int, change: str) -> HttpResponse:
    """Amend an issued directive: amend_due, add_unit, remove_unit."""
    told, others = amendable(request, _get(request, pk))
    if change == "amend_due":
        form: VersionForm = AmendDueForm(request.POST, units=told, auto_id="id_due_%s")
        return _do(request, pk, form, change, issuing.amend_due, _("The due time is amended."))
    if change == "add_unit":
        form = AddUnitForm(request.POST, units=others, auto_id="id_add_%s")
        return _do(request, pk, form, change, issuing.add_unit, _("The unit is added and has its task."))
    form = RemoveUnitForm(request.POST, units=told, auto_id="id_remove_%s")
    return _do(request, pk, form, change, issuing.remove_unit, _("The unit is taken out."))


@require_POST
@needs("directives.issue")
def directive_close(request: HttpRequest, pk: int) -> HttpResponse:
    """All of it is carried out."""
    _get(request, pk)
    return _do(request, pk, VersionForm(request.POST), "problem", issuing.close, _("The directive is closed."))


@require_POST
@needs("directives.issue")
def directive_withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Withdraw an issued directive."""
    _get(request, pk)
    form = WithdrawForm(request.POST, auto_id="id_withdraw_%s")
    return _do(request, pk, form, "withdraw", issuing.withdraw, _("The directive is withdrawn."))


@require_safe
@needs("directives.view")
def directive_file(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """An issued directive as a document: docx or pdf."""
    return document_response(request, lambda: documents.directive_file(request.user, pk, kind))
