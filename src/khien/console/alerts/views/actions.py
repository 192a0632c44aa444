"""What the queue's keys and buttons do, answered in JSON to the page's script."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from khien.console.accounts.access import needs
from khien.console.accounts.models import User
from khien.console.alerts import services
from khien.console.alerts.language import FilterError
from khien.console.alerts.models import Alert, BulkAction, Status
from khien.console.alerts.state import State
from khien.console.alerts.writing import MOST_AT_ONCE, Chosen, Done
from khien.console.concurrency import Changed
from khien.console.incidents.models import Incident


@require_POST
@needs("alerts.work")
def act(request: HttpRequest) -> HttpResponse:
    """Do `action` to the alerts of `ids` (`12:3,15:1`: ids with the versions seen), or to all that `q` matches.

    With `all=1`, `tab`, `q` and `upto` say which: those the page counted, not what has arrived since.
    """
    given = request.POST
    try:
        alerts = _chosen(request.user, given)
        done = _ACTIONS[given.get("action", "")](request.user, alerts, given)
    except KeyError:
        return _refused(_("There is no such action."))
    except FilterError as error:
        return _refused(error.message)
    except ValidationError as error:
        return _refused(" ".join(error.messages), error.message_dict if hasattr(error, "error_dict") else None)
    except Changed as changed:
        return JsonResponse({"error": str(changed.message), "changed": [changed.current.pk]}, status=409)
    except (Alert.DoesNotExist, Incident.DoesNotExist):
        return _refused(_("There is no such thing, or you do not see it."), status=404)
    return JsonResponse(_answer(done, given.get("action", "")))


@require_POST
@needs("alerts.work")
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back what the person has just done."""
    try:
        done = services.undo(request.user, pk)
    except BulkAction.DoesNotExist:
        return _refused(_("There is no such thing, or you do not see it."), status=404)
    except ValidationError as error:
        return _refused(" ".join(error.messages))
    text = ngettext("%(n)s alert is as before.", "%(n)s alerts are as before.", len(done.ids))
    shown = number_format(len(done.ids), force_grouping=True)
    return JsonResponse({"text": text % {"n": shown} + _left(done), "ids": done.ids[:1_000]})


def _chosen(user: User, given: Any) -> Chosen:
    if given.get("all") == "1":
        state = State.of({"q": given.get("q", ""), "tab": given.get("tab", "")})
        upto = given.get("upto", "")
        if not (upto.isascii() and upto.isdigit() and len(upto) < 18):
            raise ValidationError(_("Choose alerts first."))
        return replace(state.criteria(user), upto=int(upto))
    found: dict[int, int | None] = {}
    for part in given.get("ids", "").split(","):
        pk, _colon, version = part.strip().partition(":")
        if not (pk.isascii() and pk.isdigit() and len(pk) < 18):
            continue
        found[int(pk)] = int(version) if version.isascii() and version.isdigit() and len(version) < 9 else None
    if not found:
        raise ValidationError(_("Choose alerts first."))
    if len(found) > MOST_AT_ONCE:
        raise ValidationError(_("That are too many at once."))
    return found


def _assign(user: User, alerts: Chosen, given: Any) -> Done:
    wanted = given.get("owner", "")
    if wanted in ("", "none"):
        return services.assign(user, alerts, None)
    if wanted == "me":
        return services.assign(user, alerts, user)
    people = User.objects.visible_to(user).filter(is_active=True)
    owner = people.filter(pk=wanted).first() if wanted.isascii() and wanted.isdigit() and len(wanted) < 18 else None
    if owner is None:
        raise ValidationError({"owner": _("Choose a person.")})
    return services.assign(user, alerts, owner)


def _close(user: User, alerts: Chosen, given: Any) -> Done:
    return services.close(
        user,
        alerts,
        verdict=given.get("verdict", ""),
        classification=given.get("classification", ""),
        reason=given.get("reason", ""),
    )


def _status(user: User, alerts: Chosen, given: Any) -> Done:
    wanted = {"new": Status.NEW, "in_progress": Status.IN_PROGRESS}.get(given.get("status", ""))
    if wanted is None:
        raise ValidationError({"status": _("Choose a state.")})
    return services.set_status(user, alerts, wanted)


def _comment(user: User, alerts: Chosen, given: Any) -> Done:
    return Done(services.comment(user, alerts, given.get("text", "")))


def _link(user: User, alerts: Chosen, given: Any) -> Done:
    number = given.get("incident", "").strip()
    return services.link_to_incident(user, alerts, Incident.objects.visible_to(user).get(number__iexact=number))


_ACTIONS = {
    "assign": _assign,
    "close": _close,
    "reopen": lambda user, alerts, given: services.reopen(user, alerts, given.get("reason", "")),
    "status": _status,
    "comment": _comment,
    "link": _link,
    "unlink": lambda user, alerts, given: services.unlink_from_incident(user, alerts),
}


def _answer(done: Done, action: str) -> dict[str, Any]:
    n = len(done.ids)
    said = {
        "assign": ngettext("%(n)s alert assigned.", "%(n)s alerts assigned.", n),
        "close": ngettext("%(n)s alert closed.", "%(n)s alerts closed.", n),
        "reopen": ngettext("%(n)s alert reopened.", "%(n)s alerts reopened.", n),
        "status": ngettext("%(n)s alert changed.", "%(n)s alerts changed.", n),
        "comment": ngettext("Comment written on %(n)s alert.", "Comment written on %(n)s alerts.", n),
        "link": ngettext("%(n)s alert added to the incident.", "%(n)s alerts added to the incident.", n),
        "unlink": ngettext("%(n)s alert taken out of its incident.", "%(n)s alerts taken out of their incident.", n),
    }[action] % {"n": number_format(n, force_grouping=True)}
    if not n:
        said = _("Nothing had to be changed.")
    return {"text": said + _left(done), "ids": done.ids[:1_000], "skipped": done.skipped[:1_000], "undo": done.undo}


def _left(done: Done) -> str:
    if not done.skipped:
        return ""
    text = ngettext(
        "%(n)s was changed by somebody else in the meantime and left alone.",
        "%(n)s were changed by somebody else in the meantime and left alone.",
        len(done.skipped),
    )
    return " " + text % {"n": number_format(len(done.skipped))}


def _refused(message: str, fields: dict[str, list[str]] | None = None, status: int = 400) -> JsonResponse:
    return JsonResponse({"error": message, "fields": fields or {}}, status=status)
