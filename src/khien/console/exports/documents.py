"""Documents as files to save: rendered as Word or PDF, a short one at once, a long one by the worker."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse
from django.utils.http import content_disposition_header

from khien.console.exports.models import Reason
from khien.console.exports.progress import NotMade, weigh
from khien.documents.official import Document, render_docx, render_pdf, size_of
from khien.documents.pdf import PdfError, TooLong

TYPES = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pdf": "application/pdf",
    "json": "application/json",
}

MOST_AT_ONCE = {"pdf": 80_000, "docx": 350_000}
"""Sizes (`size_of`) that are set in about 2 s."""
MOST_IN_WORKER = 6_000_000
"""What is set as PDF in some two minutes, with less than 1 GB of memory."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file to save. `kind`: docx, pdf or json."""

    name: str
    kind: str
    body: bytes


def saved(exported: Exported) -> HttpResponse:
    """A response that saves it."""
    headers = {"Content-Disposition": content_disposition_header(True, exported.name)}
    return HttpResponse(exported.body, content_type=TYPES[exported.kind], headers=headers)


def why_no_pdf(error: PdfError) -> str:
    """What to tell a person who asked for a PDF, in their language; it follows that the Word file can be made."""
    return str((Reason.TOO_LARGE if isinstance(error, TooLong) else Reason.NO_PDF).label)


def rendered(document: Document, kind: str, title: str, address: str) -> bytes:
    """The document as `docx` or `pdf`; `title`, `address`: as `weigh` is told.

    Raises TakesLong where the worker has to make it, and PdfError.
    """
    size = size_of(document)
    weigh(title, address, long=size > MOST_AT_ONCE[kind])
    if size > MOST_IN_WORKER:
        raise NotMade(Reason.TOO_LARGE)
    return render_pdf(document, most=MOST_IN_WORKER) if kind == "pdf" else render_docx(document)
