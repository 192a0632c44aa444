"""Importing a table: upload, preview, apply; and the file to fill in."""

from __future__ import annotations

import io

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext
from django.views.decorators.http import require_GET, require_http_methods

from khien.console.accounts.access import needs
from khien.console.frame.forms import Form
from khien.console.spreadsheets import imports
from khien.console.spreadsheets.blank import write_template
from khien.console.spreadsheets.importers import Importer, importers
from khien.console.spreadsheets.models import Import
from khien.console.spreadsheets.reading import MOST_BYTES, MOST_ROWS

PAGE = 100


class UploadForm(Form):
    """The table to import."""

    file = forms.FileField(
        label=gettext_lazy("File"), widget=forms.FileInput(attrs={"accept": ".xlsx,.csv"}), max_length=255
    )


def _importer(request: HttpRequest, name: str) -> Importer:
    try:
        return imports.importer_of(request.user, name)
    except KeyError:
        raise Http404 from None


@require_GET
@needs("work")
def index(request: HttpRequest) -> HttpResponse:
    """What one may import, and one's latest imports."""
    known = importers()
    mine = [each for each in known.values() if each.may(request.user)]
    rows = Import.objects.visible_to(request.user).filter(importer__in=known).select_related("file")[:20]
    context = {"importers": mine, "imports": [(row, known[row.importer]) for row in rows]}
    return render(request, "spreadsheets/index.html", context)


@require_http_methods(["GET", "POST"])
@needs("work")
def new(request: HttpRequest, name: str) -> HttpResponse:
    """Upload a table."""
    importer = _importer(request, name)
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            staged = imports.stage(request.user, name, form.cleaned_data["file"])
        except ValidationError as error:
            form.add_error("file", error)
        else:
            return redirect("spreadsheets:preview", staged.pk)
    context = {"form": form, "importer": importer, "most_rows": MOST_ROWS, "most_mb": MOST_BYTES >> 20}
    return render(request, "spreadsheets/upload.html", context, status=400 if form.errors else 200)


@require_GET
@needs("work")
def template(request: HttpRequest, name: str) -> FileResponse:
    """The file to fill in."""
    importer = _importer(request, name)
    out = io.BytesIO()
    write_template(out, importer)
    out.seek(0)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return FileResponse(out, as_attachment=True, filename=f"{name}.xlsx", content_type=kind)


@require_http_methods(["GET", "POST"])
@needs("work")
def preview(request: HttpRequest, pk: int) -> HttpResponse:
    """What an import would do, `?show=` one kind of rows; POST with the digest that was seen applies it."""
    staged = get_object_or_404(Import.objects.visible_to(request.user).select_related("file"), pk=pk)
    importer = _importer(request, staged.importer)
    status, said = 200, ""
    if request.method == "POST":
        try:
            done = imports.apply(request.user, pk, request.POST.get("digest", ""))
        except imports.Outdated:
            status = 409
            said = _("The data has changed since you looked, so nothing was imported. Below is what would happen now.")
        except ValidationError as error:
            status, said = 400, " ".join(error.messages)
        else:
            changed = done.result["create"] + done.result["change"]
            messages.success(request, ngettext("%(n)s row imported.", "%(n)s rows imported.", changed) % {"n": changed})
            return redirect(_next(importer))
    context = {"staged": staged, "importer": importer, "said": said}
    if staged.applied_at is None:
        try:
            seen = imports.preview(request.user, staged)
        except ValidationError as error:
            context["said"] = " ".join(error.messages)
        else:
            show = request.GET.get("show", "")
            rows = [row for row in seen.rows if not show or row.kind == show]
            rows.sort(key=lambda row: (row.kind != imports.WRONG, row.kind == imports.SAME, row.number))
            tally = [
                (imports.WRONG, _("with errors"), seen.counts[imports.WRONG]),
                (imports.CREATE, pgettext("rows", "new"), seen.counts[imports.CREATE]),
                (imports.CHANGE, pgettext("rows", "changed"), seen.counts[imports.CHANGE]),
                (imports.SAME, pgettext("rows", "unchanged"), seen.counts[imports.SAME]),
            ]
            page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
            context |= {"preview": seen, "page": page, "show": show, "tally": tally, "errors": seen.errors[:50]}
    return render(request, "spreadsheets/preview.html", context, status=status)


def _next(importer: Importer) -> str:
    try:
        return reverse(importer.next_url)
    except NoReverseMatch:
        return reverse("spreadsheets:index")
