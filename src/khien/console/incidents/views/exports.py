"""An incident as a file, and reports of it to the authorities."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from khien.console.accounts.access import needs
from khien.console.exports.documents import TYPES, saved, why_no_pdf
from khien.console.exports.progress import TakesLong
from khien.console.exports.services import later
from khien.console.incidents.exports import export_incident
from khien.console.incidents.models import Incident
from khien.console.incidents.report_forms import ReportForm
from khien.console.incidents.reports import report_incident
from khien.console.incidents.views.reading import seen
from khien.documents.pdf import PdfError


@require_GET
@never_cache
@needs("incidents.view")
def export(request: HttpRequest, pk: int, format: str) -> HttpResponse:
    """The whole incident as `docx`, `pdf` or `json`."""
    incident = seen(request, pk)
    if format not in TYPES:
        raise Http404
    try:
        return saved(export_incident(request.user, pk, format))
    except TakesLong as error:
        return later(request, error.title)
    except PdfError as error:
        form = ReportForm(request.user, incident)
        return _page(request, incident, form, failed=why_no_pdf(error), status=503)


@require_http_methods(["GET", "POST"])
@never_cache
@needs("incidents.work")
def report(request: HttpRequest, pk: int) -> HttpResponse:
    """Compose a report to the authorities; POST saves it as Word or PDF."""
    incident = seen(request, pk)
    form = ReportForm(request.user, incident, request.POST or None)
    failed = ""
    if request.method == "POST" and form.is_valid():
        kind = "pdf" if request.POST.get("format") == "pdf" else "docx"
        try:
            return saved(report_incident(request.user, pk, form.facts(), kind))
        except TakesLong as error:
            return later(request, error.title)
        except PdfError as error:
            failed = why_no_pdf(error)
    return _page(request, incident, form, failed=failed, status=503 if failed else 422 if form.errors else 200)


def _page(request: HttpRequest, incident: Incident, form: ReportForm, *, failed: str, status: int) -> HttpResponse:
    may_work = request.user.may("incidents.work")
    context = {"incident": incident, "form": form, "failed": failed, "may_work": may_work}
    return render(request, "incidents/report.html", context, status=status)
