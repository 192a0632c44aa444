"""Tags and filters that all templates have without loading them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

register = template.Library()
LEVELS = ("informational", "low", "medium", "high", "critical")


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """A Tabler icon from the sprite; with a label it is read aloud, without it is decoration."""
    source = static("khien/icons.svg")
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}#{}"></use></svg>', label, source, name
        )
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', source, name)


def level_name(level: str) -> str:
    """The word for a level of severity."""
    names = {
        "informational": pgettext("level", "Informational"),
        "low": pgettext("level", "Low"),
        "medium": pgettext("level", "Medium"),
        "high": pgettext("level", "High"),
        "critical": pgettext("level", "Critical"),
    }
    return names.get(level, level)


@register.filter
def level_badge(level: str) -> SafeString:
    """A severity as word and colour."""
    shown = level if level in LEVELS else "none"
    return format_html('<span class="level level-{}">{}</span>', shown, level_name(level))


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """A time as date and time, `24/11/2026 09:41`, exact to the second on hover."""
    if value is None:
        return "–"
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.isoformat(),
        local.strftime("%d/%m/%Y %H:%M:%S"),
        local.strftime("%d/%m/%Y %H:%M"),
    )


@register.filter
def written_day(text: str) -> str:
    """A day that stands in a file as `2026-11-24` or `2026/11/24`, as pages print days; other text as it is."""
    try:
        return date_format(date.fromisoformat(text.replace("/", "-")), "SHORT_DATE_FORMAT")
    except ValueError:
        return text


@register.filter
def ago(value: datetime | None) -> SafeString | str:
    """A time as distance from now, "2 min ago" or "in 3 h", the exact time on hover."""
    if value is None:
        return "–"
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.isoformat(),
        local.strftime("%d/%m/%Y %H:%M:%S"),
        distance(timezone.now() - value),
    )


def distance(passed: timedelta) -> str:
    """How long ago, or in how long."""
    seconds = passed.total_seconds()
    if abs(seconds) < 45:
        return _("now")
    text = span(abs(seconds))
    return _("%(span)s ago") % {"span": text} if seconds > 0 else _("in %(span)s") % {"span": text}


@register.filter
def span(seconds: float | timedelta | None) -> str:
    """A length of time in its largest fitting unit; short ones to the hundredth of a second."""
    if seconds is None:
        return "–"
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if seconds < 45:
        shown = round(seconds, 2 if seconds < 10 else 0)
        return _("%(n)s s") % {"n": number_format(int(shown) if shown == int(shown) else shown)}
    minutes = round(seconds / 60)
    if minutes < 60:
        return ngettext("%(n)s min", "%(n)s min", minutes) % {"n": minutes}
    hours = round(seconds / 3600)
    if hours < 48:
        return ngettext("%(n)s h", "%(n)s h", hours) % {"n": hours}
    days = round(seconds / 86400)
    return ngettext("%(n)s day", "%(n)s days", days) % {"n": number_format(days, force_grouping=True)}


@register.filter
def number(value: int | float | None) -> str:
    """A number with the language's separators."""
    return "–" if value is None else number_format(value, use_l10n=True, force_grouping=True)


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The page's query string with changes; an empty value takes a parameter away, and `page` always goes."""
    parameters = context["request"].GET.copy()
    parameters.pop("after", None)
    parameters.pop("page", None)
    for name, value in changes.items():
        if value in (None, ""):
            parameters.pop(name, None)
        elif isinstance(value, (list, tuple)):
            parameters.setlist(name, [str(each) for each in value])
        else:
            parameters[name] = str(value)
    return "?" + parameters.urlencode() if parameters else "?"
