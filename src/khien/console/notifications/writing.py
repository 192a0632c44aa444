"""The words of mails, in the reader's language. What a notice marks as sensitive stays out; the link leads to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from khien.console.accounts.models import User
from khien.console.notifications.families import FAMILIES, family_of
from khien.console.notifications.models import Notice

PREFIX = "[Khiên]"
_IN_DIGEST = 5


@dataclass(frozen=True, slots=True)
class Written:
    """A mail's words."""

    subject: str
    text: str
    html: str


def write_notices(person: User, count: int, notices: Sequence[Notice], kind: str) -> Written:
    """One mail about notices of one kind, newest first; `count` may be more than are given."""
    with translation.override(person.language):
        if count == 1 and notices:
            subject = notices[0].worded(hiding=True)
        else:
            label = str(family_of(kind).label)
            subject = _many(count) + f": {label}"
        section = {"label": "", "count": count, "lines": _lines(notices), "more": _more(count - len(notices))}
        return _written(person, subject, "", [section])


def write_digest(person: User, kinds: Mapping[str, int], notices: Sequence[Notice], *, held: int) -> Written:
    """A digest by families; `held`: how many of them came over the limit of mails."""
    with translation.override(person.language):
        counts: dict[str, int] = defaultdict(int)
        for kind, count in kinds.items():
            counts[family_of(kind).name] += count
        found: dict[str, list[Notice]] = defaultdict(list)
        for notice in notices:
            found[family_of(notice.kind).name].append(notice)
        sections = []
        for name, family in FAMILIES.items():
            if counts[name]:
                shown = found[name][:_IN_DIGEST]
                more = _more(counts[name] - len(shown))
                sections.append({"label": family.label, "count": counts[name], "lines": _lines(shown), "more": more})
        total = sum(counts.values())
        lead = ""
        if held:
            lead = ngettext(
                "%(n)s of them came after the limit of %(limit)s mails an hour was reached.",
                "%(n)s of them came after the limit of %(limit)s mails an hour was reached.",
                held,
            ) % {"n": _number(held), "limit": settings.MAIL_PER_HOUR}
        return _written(person, _("Summary") + ": " + _many(total), lead, sections)


def _many(count: int) -> str:
    return ngettext("%(n)s notice", "%(n)s notices", count) % {"n": _number(count)}


def _more(count: int) -> str:
    return ngettext("and %(n)s more", "and %(n)s more", count) % {"n": _number(count)} if count > 0 else ""


def _number(count: int) -> str:
    return number_format(count, force_grouping=True)


def _lines(notices: Sequence[Notice]) -> list[dict[str, Any]]:
    return [
        {
            "text": " ".join(each.worded(hiding=True).split()),
            "url": settings.ADDRESS + each.url if each.url.startswith("/") else "",
            "at": timezone.localtime(each.created_at).strftime("%d/%m/%Y %H:%M"),
        }
        for each in notices
    ]


def _written(person: User, subject: str, lead: str, sections: list[dict[str, Any]]) -> Written:
    context = {
        "person": person,
        "subject": subject,
        "lead": lead,
        "sections": sections,
        "all_url": settings.ADDRESS + reverse("notifications:list"),
        "preferences_url": settings.ADDRESS + reverse("notifications:preferences"),
    }
    text = render_to_string("notifications/mail.txt", context).strip() + "\n"
    return Written(f"{PREFIX} {subject}", text, render_to_string("notifications/mail.html", context))
