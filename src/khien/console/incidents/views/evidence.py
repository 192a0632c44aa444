"""Pages of evidence. Nothing uploaded is ever shown: what one sees is what was written of it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from khien.console.accounts.access import needs
from khien.console.concurrency import Changed
from khien.console.files.limits import MOST_BODY
from khien.console.frame.forms import take_errors
from khien.console.frame.given import whole
from khien.console.incidents import evidence as services
from khien.console.incidents import evidence_package
from khien.console.incidents.evidence_forms import EvidenceForm, HandOverForm, PackageForm, WithdrawForm
from khien.console.incidents.models import Evidence, Incident, IncidentStatus
from khien.console.incidents.views.reading import seen


def _evidence(request: HttpRequest, pk: int, number: int) -> Evidence:
    rows = Evidence.objects.visible_to(request.user).listed().select_related("incident__unit", "file", "added_by")
    return get_object_or_404(rows, incident_id=pk, number=number)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("incidents.view")
def evidence(request: HttpRequest, pk: int) -> HttpResponse:
    """The evidence of an incident; POST adds to it."""
    incident = seen(request, pk)
    if request.method == "POST":
        return _add(request, incident)
    return _list(request, incident, EvidenceForm(request.user))


def _list(
    request: HttpRequest,
    incident: Incident,
    form: EvidenceForm,
    package: PackageForm | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    rows = list(incident.evidence.listed())
    context = {
        "incident": incident,
        "rows": rows,
        "form": form,
        "package": package or PackageForm([each.number for each in rows]),
        "chosen": {whole(each) for each in package.data.getlist("numbers")} if package else set(),
        "may_work": request.user.may("incidents.work"),
        "may_add": request.user.may("incidents.work") and incident.status != IncidentStatus.MERGED,
        "most_bytes": services.MOST_BYTES,
        "most_files": services.MOST_FILES,
        "most_together": MOST_BODY - (1 << 20),
        "words": {
            "large": _("is larger than %(most)s") % {"most": filesizeformat(services.MOST_BYTES)},
            "together": _("Together these files are larger than %(most)s.") % {"most": filesizeformat(MOST_BODY)},
            "many": _("Upload at most %(most)s files at once.") % {"most": services.MOST_FILES},
            "hashing": _("Received; the files are being hashed and kept."),
            "failed": _("The upload broke off; nothing was kept. Try again."),
        },
    }
    return render(request, "incidents/evidence.html", context, status=status)


def _add(request: HttpRequest, incident: Incident) -> HttpResponse:
    form = EvidenceForm(request.user, request.POST, request.FILES)
    added: list[services.Added] = []
    if form.is_valid():
        given = form.cleaned_data
        try:
            added = services.add_evidence(
                request.user,
                incident.pk,
                given["files"],
                description=given["description"],
                collected_at=given["collected_at"],
                collected_where=given["collected_where"],
                collected_by=given["collected_by"],
            )
        except ValidationError as error:
            take_errors(form, error)
    told = request.headers.get("Accept") == "application/json"
    if not added:
        if told:
            return JsonResponse({"errors": _errors(form)}, status=422)
        return _list(request, incident, form, status=422)
    count = len(added)
    messages.success(
        request,
        ngettext("%(n)s piece of evidence was added.", "%(n)s pieces of evidence were added.", count) % {"n": count},
    )
    for each in added:
        for twin in each.twins:
            messages.warning(
                request,
                _("%(label)s has the same content as %(twin)s of incident %(number)s.")
                % {"label": each.evidence, "twin": twin, "number": twin.incident.number},
            )
    url = reverse("incidents:evidence", args=[incident.pk])
    return JsonResponse({"url": url}) if told else redirect(url)


def _errors(form: EvidenceForm) -> list[str]:
    """The errors as sentences, each with the field it is about."""
    found = []
    for name, errors in form.errors.items():
        label = f"{form.fields[name].label}: " if name in form.fields and name != "files" else ""
        found += [f"{label}{error}" for error in errors]
    return found


@require_GET
@needs("incidents.view")
def evidence_detail(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """A piece of evidence and its chain of custody; that it was looked at is kept."""
    piece = _evidence(request, pk, number)
    services.view_evidence(request.user, piece)
    return _detail(request, piece)


def _detail(request: HttpRequest, piece: Evidence, *, status: int = 200, **forms: Any) -> HttpResponse:
    may_work = request.user.may("incidents.work")
    context = {
        "incident": piece.incident,
        "piece": piece,
        "custody": piece.custody.select_related("by"),
        "checked": piece.custody.filter(kind="verified").last(),
        "twins": services.twins_of(request.user, piece),
        "may_work": may_work,
        "may_withdraw": may_work
        and piece.withdrawn_at is None
        and (piece.added_by_id == request.user.pk or request.user.may("incidents.lead")),
        "hand_over": HandOverForm(),
        "withdraw": WithdrawForm(initial={"version": piece.version}),
        "package": PackageForm([piece.number], initial={"numbers": [piece.number]}),
        **forms,
    }
    return render(request, "incidents/evidence_detail.html", context, status=status)


@require_POST
@needs("incidents.work")
def evidence_verify(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Hash the bytes again."""
    piece = _evidence(request, pk, number)
    if services.verify_evidence(request.user, piece.pk):
        messages.success(request, _("The SHA-256 is still that of the upload: the evidence is intact."))
    else:
        messages.error(request, _("The SHA-256 differs: this is no longer what was uploaded. The team was told."))
    return redirect("incidents:evidence_detail", pk, number)


@require_POST
@needs("incidents.work")
def evidence_hand_over(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Keep to whom the evidence was given."""
    piece = _evidence(request, pk, number)
    form = HandOverForm(request.POST)
    if form.is_valid():
        try:
            services.hand_over(request.user, piece.pk, **form.cleaned_data)
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("The handing over was written into the chain of custody."))
            return redirect("incidents:evidence_detail", pk, number)
    return _detail(request, piece, status=422, hand_over=form, opened="hand_over")


@require_POST
@needs("incidents.work")
def evidence_withdraw(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Say that the evidence no longer counts."""
    piece = _evidence(request, pk, number)
    form = WithdrawForm(request.POST)
    status = 422
    if form.is_valid():
        given = form.cleaned_data
        try:
            services.withdraw_evidence(request.user, piece.pk, given["version"], reason=given["reason"])
        except ValidationError as error:
            take_errors(form, error)
        except Changed as changed:
            form.add_error(None, str(changed.message))
            form.data = {**form.data.dict(), "version": changed.current.version}
            piece, status = _evidence(request, pk, number), 409
        else:
            messages.success(request, _("The evidence was withdrawn; it is kept with the reason."))
            return redirect("incidents:evidence_detail", pk, number)
    return _detail(request, piece, status=status, withdraw=form, opened="withdraw")


@require_POST
@never_cache
@needs("incidents.work")
def evidence_package_offer(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the password of the archive, once, with the button that starts the download."""
    incident = seen(request, pk)
    form = PackageForm(list(incident.evidence.values_list("number", flat=True)), request.POST)
    if form.is_valid():
        try:
            chosen, password, token = evidence_package.offer(request.user, incident, **form.cleaned_data)
        except ValidationError as error:
            take_errors(form, error)
        else:
            context = {
                "incident": incident,
                "chosen": chosen,
                "password": password,
                "token": token,
                "minutes": evidence_package.LIVES // 60,
            }
            return render(request, "incidents/evidence_package.html", context)
    return _list(request, incident, EvidenceForm(request.user), form, status=422)


@require_POST
@needs("incidents.work")
def evidence_download(request: HttpRequest, pk: int) -> HttpResponse:
    """The archive."""
    incident = seen(request, pk)
    try:
        return evidence_package.download(request.user, incident, request.POST.get("token", ""))
    except ValidationError as error:
        for each in error.messages:
            messages.error(request, each)
        return redirect("incidents:evidence", pk)
