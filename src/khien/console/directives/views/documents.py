"""Sessions and directives as Word and PDF."""

from __future__ import annotations

from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from khien.console.audit.services import record
from khien.console.exports.documents import rendered
from khien.console.exports.progress import TakesLong, permitted
from khien.console.exports.services import later
from khien.console.files.responses import why_no_pdf
from khien.console.files.services import safe_name
from khien.documents.official import Document
from khien.documents.pdf import PdfError

TYPES = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pdf": "application/pdf",
}


def document_response(
    request: HttpRequest, target: models.Model, document: Document, name: str, kind: str
) -> HttpResponse:
    """The document as a file to save; written into the audit trail as an export. 503 where no PDF can be made.

    A long one is made by the worker.
    """
    permitted()
    try:
        body = rendered(document, kind)
    except TakesLong:
        return later(request, f"{target}: {name}.{kind}")
    except PdfError as error:
        return render(request, "directives/no_pdf.html", {"error": why_no_pdf(error)}, status=503)
    record(request.user, "export", target, after={"format": kind, "bytes": len(body)})
    file = f"{safe_name(name)}-{timezone.localtime():%Y%m%d}.{kind}"
    return HttpResponse(
        body, content_type=TYPES[kind], headers={"Content-Disposition": f'attachment; filename="{_ascii(file)}"'}
    )


def _ascii(name: str) -> str:
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-._") else "-" for letter in name)
