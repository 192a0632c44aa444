"""The bell, the list of notices, preferences, and the delivery log."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from khien.console.accounts.access import needs
from khien.console.frame.given import whole
from khien.console.frame.views import back_to
from khien.console.notifications import selectors, services
from khien.console.notifications.families import FAMILIES
from khien.console.notifications.forms import PreferencesForm
from khien.console.notifications.models import Mail, MailState, Notice
from khien.console.notifications.preferences import save_preferences, wishes_of

_PAGE = 50
_IN_BELL = 8


def _told(count: int) -> str:
    if not count:
        return _("Notifications: nothing new")
    shown = f"{selectors.MOST_COUNTED - 1}+" if count >= selectors.MOST_COUNTED else str(count)
    return ngettext("Notifications: %(n)s new", "Notifications: %(n)s new", count) % {"n": shown}


@never_cache
@require_GET
@needs("notifications")
def count(request: HttpRequest) -> JsonResponse:
    """How many are new, for the bell, which asks every half minute."""
    number = selectors.unread_count(request.user)
    return JsonResponse({"unread": number, "most": selectors.MOST_COUNTED, "label": _told(number)})


count.quiet = True  # type: ignore[attr-defined] # the page asks by itself: no sign of the person


@never_cache
@require_GET
@needs("notifications")
def latest(request: HttpRequest) -> HttpResponse:
    """The last few, for the bell's menu."""
    rows = list(selectors.notices(request.user)[:_IN_BELL])
    context = {"rows": selectors.with_families(rows), "newest": rows[0].pk if rows else 0}
    return render(request, "notifications/latest.html", context)


@require_GET
@needs("notifications")
def notice_list(request: HttpRequest) -> HttpResponse:
    """One's own notices."""
    family, unread = request.GET.get("family", ""), request.GET.get("unread") == "1"
    page = Paginator(selectors.notices(request.user, family=family, unread=unread), _PAGE).get_page(
        request.GET.get("page")
    )
    rows = selectors.with_families(list(page.object_list))
    context = {
        "page": page,
        "rows": rows,
        "families": FAMILIES.values(),
        "family": family if family in FAMILIES else "",
        "unread": unread,
        "newest": page.object_list[0].pk if rows and page.number == 1 else "",
    }
    return render(request, "notifications/list.html", context)


@never_cache
@require_GET
@needs("notifications")
def open_notice(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark a notice as read and go where it leads."""
    try:
        notice = services.mark_read(request.user, pk)
    except Notice.DoesNotExist:
        raise Http404 from None
    here = url_has_allowed_host_and_scheme(notice.url, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(notice.url if notice.url and here else reverse("notifications:list"))


@require_POST
@needs("notifications")
def read(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark a notice as read, or as new again."""
    try:
        services.mark_read(request.user, pk, read=request.POST.get("read", "1") == "1")
    except Notice.DoesNotExist:
        raise Http404 from None
    return back_to(request, reverse("notifications:list"))


@require_POST
@needs("notifications")
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark all as read, or those of a family, up to the newest that the page showed."""
    number = services.mark_all_read(
        request.user, family=request.POST.get("family", ""), up_to=whole(request.POST.get("newest"))
    )
    done = ngettext("%(n)s notice was marked as read.", "%(n)s notices were marked as read.", number) % {"n": number}
    messages.success(request, done)
    return back_to(request, reverse("notifications:list"))


@needs("notifications")
def preferences(request: HttpRequest) -> HttpResponse:
    """What one wants to be told, and how."""
    form = PreferencesForm(wishes_of([request.user.pk])[request.user.pk], request.POST or None)
    if request.method == "POST" and form.is_valid():
        save_preferences(
            request.user,
            form.choices(),
            quiet_from=form.cleaned_data["quiet_from"],
            quiet_until=form.cleaned_data["quiet_until"],
            digest_at=form.cleaned_data["digest_at"],
        )
        messages.success(request, _("Your preferences were saved."))
        return redirect("notifications:preferences")
    status = 422 if form.is_bound else 200
    return render(request, "notifications/preferences.html", {"form": form}, status=status)


_COLUMNS: list[tuple[Any, Any]] = [
    (lambda: _("Time"), "created_at"),
    (lambda: pgettext("mail", "Recipient"), "to"),
    (lambda: _("Subject"), "subject"),
    (lambda: _("State"), lambda mail: mail.get_state_display()),
    (lambda: _("Sent"), "sent_at"),
    (lambda: _("Tries"), "tries"),
    (lambda: _("Error"), "error"),
]


@require_GET
@needs("notifications")
def deliveries(request: HttpRequest) -> HttpResponse:
    """The delivery log: all mails for who manages the settings, one's own for others."""
    state, text = request.GET.get("state", ""), request.GET.get("q", "").strip()
    rows = selectors.mails(request.user, state=state, text=text)
    if request.GET.get("export"):
        from khien.console.spreadsheets.exports import export_response

        return export_response(request, "mails", _("Mails"), [(label(), each) for label, each in _COLUMNS], rows)
    page = Paginator(rows, _PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "states": MailState.choices,
        "state": state,
        "q": text,
        "may_retry": request.user.may("settings.manage"),
    }
    return render(request, "notifications/deliveries.html", context)


@require_POST
@needs("settings.manage")
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a mail again that failed."""
    try:
        services.try_again(request.user, pk)
    except Mail.DoesNotExist:
        raise Http404 from None
    messages.success(request, _("The mail will be sent again."))
    return back_to(request, reverse("notifications:deliveries"))
