"""Sessions and directives as Word and PDF, for those who see them. Who takes one away is in the audit trail."""

from __future__ import annotations

from django.db import models
from django.urls import reverse
from django.utils import timezone

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import record
from khien.console.directives.minutes import directive_document, minutes_of, notice_of
from khien.console.directives.models import Directive, DirectiveState, Session, SessionState
from khien.console.directives.rights import prepares
from khien.console.directives.selectors import directives_shown
from khien.console.exports.documents import Exported, rendered
from khien.console.exports.progress import permitted
from khien.console.files.services import safe_name
from khien.console.units.scoping import scope_ids
from khien.documents.official import Document


def session_document(by: User, pk: int, what: str, kind: str) -> Exported:
    """The minutes, or the notice of the conclusions (`what`: minutes, notice), as docx or pdf.

    Raises Session.DoesNotExist also for one not held yet, PdfError where no PDF can be made, TakesLong.
    """
    demand(by, "directives.view")
    rows = Session.objects.visible_to(by).exclude(state=SessionState.PLANNED)
    session = rows.select_related("chair__unit", "secretary__unit").get(pk=pk)
    document = (minutes_of if what == "minutes" else notice_of)(by, session)
    return _made(by, session, document, f"{session.number}-{what}", kind, reverse(f"sessions:{what}_{kind}", args=[pk]))


def directive_file(by: User, pk: int, kind: str) -> Exported:
    """A directive to those of its units that the person sees, as docx or pdf; a draft for those who prepare it.

    Raises Directive.DoesNotExist, PdfError where no PDF can be made, TakesLong.
    """
    demand(by, "directives.view")
    directive = directives_shown(by).get(pk=pk)
    if directive.state == DirectiveState.DRAFT and not prepares(by):
        raise Directive.DoesNotExist
    rows = directive.units.filter(removed_at=None).select_related("unit").order_by("unit__name")
    if (ids := scope_ids(by)) is not None:
        rows = rows.filter(unit__in=ids)
    document = directive_document(directive, list(rows))
    name = f"directive-{directive.number or 'draft'}"
    return _made(by, directive, document, name, kind, reverse(f"directives:{kind}", args=[pk]))


def _made(by: User, target: models.Model, document: Document, name: str, kind: str, address: str) -> Exported:
    permitted()
    body = rendered(document, kind, f"{target}: {name}.{kind}", address)
    record(by, "export", target, after={"format": kind, "bytes": len(body)})
    file = f"{safe_name(name)}-{timezone.localtime():%Y%m%d}.{kind}"
    return Exported("".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in file), kind, body)
