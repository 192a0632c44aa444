"""Sessions and directives as Word and PDF."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from khien.console.exports.documents import Exported, saved, why_no_pdf
from khien.console.exports.progress import TakesLong
from khien.console.exports.services import later
from khien.documents.pdf import PdfError


def document_response(request: HttpRequest, make: Callable[[], Exported]) -> HttpResponse:
    """The document as a file to save; a long one is made by the worker. 503 where no PDF can be made."""
    try:
        return saved(make())
    except ObjectDoesNotExist as error:
        raise Http404 from error
    except TakesLong as error:
        return later(request, error.title)
    except PdfError as error:
        return render(request, "directives/no_pdf.html", {"error": why_no_pdf(error)}, status=503)
