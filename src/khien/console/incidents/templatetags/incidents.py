"""How incidents are shown: severity, class, TLP, time left."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from khien.console.alerts.models import Level
from khien.console.frame.templatetags.khien import level_badge
from khien.console.incidents import catalogue
from khien.console.incidents.models import SENSITIVE, Clock, Incident, IncidentStatus, Tlp

register = template.Library()
_STATES = {
    IncidentStatus.OPEN: "state-active",
    IncidentStatus.CONTAINED: "state-active",
    IncidentStatus.RESOLVED: "state-done",
    IncidentStatus.CLOSED: "state-done",
}


@register.filter
def severity(level: int) -> SafeString:
    """The number of a severity as word and colour."""
    return level_badge(Level(level).word if level in Level.values else "")


@register.filter
def class_name(code: str) -> str:
    """The words for a working class."""
    return catalogue.working_class_label(code)


@register.filter
def rsit_name(code: str) -> str:
    """The words for an RSIT type."""
    return catalogue.class_label(code)


@register.filter
def tlp_badge(tlp: str) -> SafeString:
    """A TLP; the sensitive ones stand out."""
    mark = " tlp-strict" if tlp in SENSITIVE else ""
    return format_html('<span class="tlp{}">{}</span>', mark, Tlp(tlp).label if tlp in Tlp.values else tlp)


@register.filter
def state_badge(incident: Incident) -> SafeString:
    """How far an incident is."""
    return format_html(
        '<span class="state {}">{}</span>', _STATES.get(incident.status, ""), incident.get_status_display()
    )


@register.filter
def overdue(clock: Clock, now: datetime) -> bool:
    """Whether a clock is missed."""
    return clock.is_overdue(now)


@register.simple_tag
def countdown(due_at: datetime) -> SafeString:
    """The time left until a deadline, or passed since; the page lets it run on."""
    words = {"left": _("%s left"), "over": _("%s overdue"), "d": _("d"), "h": _("h"), "m": _("min")}
    left = due_at - timezone.now()
    late = left < timedelta(0)
    return format_html(
        '<time class="countdown{}" datetime="{}" title="{}" data-words="{}">{}</time>',
        " late" if late else "",
        due_at.isoformat(),
        timezone.localtime(due_at).strftime("%d/%m/%Y %H:%M"),
        json.dumps(words, ensure_ascii=False),
        (words["over"] if late else words["left"]) % _length(abs(left), words),
    )


def _length(length: timedelta, words: dict[str, str]) -> str:
    minutes = int(length.total_seconds() // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days >= 2:
        return f"{days} {words['d']} {hours} {words['h']}"
    hours += 24 * days
    return f"{hours} {words['h']} {minutes} {words['m']}" if hours else f"{minutes} {words['m']}"
