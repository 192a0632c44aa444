"""Files that take long, as the API shows them: asked for, looked after, fetched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.utils.http import content_disposition_header
from ninja import Schema, Status
from ninja.errors import HttpError

from khien.console.accounts.models import User
from khien.console.api.shapes import Time
from khien.console.exports.models import FileState, MadeFile
from khien.console.exports.progress import TakesLong
from khien.console.exports.replay import Form, Refused
from khien.console.exports.services import ask, fetch
from khien.console.files.responses import SavedFile, why_no_pdf
from khien.documents.pdf import PdfError

FILE = {
    "responses": {
        200: {
            "description": "The file",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    }
}
"""What the description of an operation says that answers with a file."""


class MadeFileOut(Schema):
    """A file that the worker makes. `state`: waiting, making, ready or failed; `reason`: why it failed.

    `done` of `total` rows, 0 where nobody counts. `expires_at`: until when it is kept.
    """

    id: int
    title: str
    state: FileState
    reason: str
    done: int
    total: int
    name: str
    size: int
    asked_at: Time
    ended_at: Time | None
    expires_at: Time | None


class Made(Protocol):
    """A file that was made at once."""

    @property
    def name(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def body(self) -> bytes: ...


def at_once_or_later(
    by: User, make: Callable[[], Made], *, address: str, title: str, form: Form | None = None
) -> HttpResponse | Status:
    """The file; or 202 with what the worker makes of a page's address, where it takes long. The caller checked rights.

    Raises ValidationError where the person has too many, HttpError 503 where PDF cannot be made.
    """
    try:
        made = make()
    except TakesLong:
        return Status(202, ask(by, address, title, form=form))
    except PdfError as error:
        raise HttpError(503, why_no_pdf(error)) from error
    headers = {"Content-Disposition": content_disposition_header(True, made.name)}
    return HttpResponse(made.body, content_type=made.content_type, headers=headers)


def file_of(by: User, pk: int, *, under: str) -> Any:
    """One's own file that is made of a page below an address. Raises MadeFile.DoesNotExist."""
    return MadeFile.objects.visible_to(by).get(pk=pk, address__startswith=under)


def content_of(by: User, pk: int, *, under: str) -> SavedFile:
    """The same, once it is ready. Raises MadeFile.DoesNotExist, and PermissionDenied where rights were lost."""
    try:
        return fetch(by, file_of(by, pk, under=under).pk)
    except Refused as error:
        raise PermissionDenied from error
