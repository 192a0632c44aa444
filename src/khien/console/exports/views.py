"""The page of files being made."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from khien.console.accounts.access import needs, quiet
from khien.console.exports import services
from khien.console.exports.models import MadeFile
from khien.console.exports.replay import Refused

MOST_SHOWN = 100


@require_GET
@never_cache
@needs("notifications")
def file_list(request: HttpRequest) -> HttpResponse:
    """One's own files: those being made and those that are ready, the latest first."""
    return render(request, "exports/list.html", _context(request))


@quiet
@require_GET
@never_cache
@needs("notifications")
def rows(request: HttpRequest) -> HttpResponse:
    """The same rows, asked for by the page while something is being made."""
    return render(request, "exports/rows.html", _context(request))


@require_GET
@never_cache
@needs("notifications")
def download(request: HttpRequest, pk: int) -> HttpResponse:
    """A file that is ready; refused to who lost the right to it meanwhile."""
    try:
        return services.fetch(request.user, pk)
    except MadeFile.DoesNotExist as error:
        raise Http404 from error
    except Refused:
        messages.error(
            request,
            _("Your rights have changed since this file was made, or what it tells of is gone. Have it made again."),
        )
        return render(request, "exports/list.html", _context(request), status=403)


@require_POST
@needs("notifications")
def give_up(request: HttpRequest, pk: int) -> HttpResponse:
    """One of one's own is deleted, or not made after all."""
    try:
        services.give_up(request.user, pk)
    except MadeFile.DoesNotExist as error:
        raise Http404 from error
    messages.success(request, _("The file is deleted."))
    return redirect("exports:list")


def _context(request: HttpRequest) -> dict[str, object]:
    files = list(MadeFile.objects.visible_to(request.user)[:MOST_SHOWN])
    return {"files": files, "at_work": any(each.unfinished for each in files), "days": services.KEPT.days}
