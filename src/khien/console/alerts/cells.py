"""Cells of the queue's rows as HTML. A page has hundreds, which templates would take too long for.

Everything goes through `format_html`, which escapes: titles, hosts and names may be hostile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from khien.console.alerts.models import Alert, Level, Status, Verdict
from khien.console.alerts.picture import Bar, Histogram
from khien.console.frame.templatetags.khien import ago, level_badge, moment, number

_TICK = '<td class="tick"><input class="form-check-input" type="checkbox" data-tick aria-label="{} {}"></td>'
_STATES = {Status.NEW: "", Status.IN_PROGRESS: "state-active", Status.CLOSED: "state-done"}


def _clipped(text: Any, title: Any = "", kind: str = "clip-cell") -> SafeString:
    return format_html('<span class="{}" title="{}">{}</span>', kind, title or text, text)


def _what(alert: Alert) -> SafeString:
    address = reverse("alerts:detail", args=[alert.pk])
    return format_html('<a class="what" href="{}" title="{}">{}</a>', address, alert.title, alert.title)


def _state(alert: Alert) -> SafeString:
    status = Status(alert.status)
    return format_html('<span class="state {}">{}</span>', _STATES[status], status.label)


_CELLS: dict[str, Callable[[Alert], Any]] = {
    "level": lambda alert: level_badge(Level(alert.level).word),
    "what": _what,
    "rule": lambda alert: _clipped(alert.rule_id, kind="mono clip-cell"),
    "tags": lambda alert: _clipped(", ".join(map(str, alert.tags[:4])), ", ".join(map(str, alert.tags))),
    "entity": lambda alert: _clipped(alert.entity_value, kind="mono clip-cell") if alert.entity_value else "–",
    "unit": lambda alert: _clipped(alert.unit, alert.unit.name) if alert.unit else "–",
    "system": lambda alert: _clipped(alert.system) if alert.system else "–",
    "count": lambda alert: number(alert.count),
    "first": lambda alert: moment(alert.first_at),
    "last": lambda alert: ago(alert.last_at),
    "arrived": lambda alert: moment(alert.arrived_at),
    "state": _state,
    "verdict": lambda alert: Verdict(alert.verdict).label if alert.verdict else "–",
    "incident": lambda alert: alert.incident.number if alert.incident else "–",
    "owner": lambda alert: _clipped(alert.owner) if alert.owner else "–",
}


def rows(alerts: Iterable[Alert], columns: list[tuple[str, Promise]], *, ticks: bool) -> SafeString:
    """Rows of the table; with `ticks` each can be selected."""
    named = [(name, "num col-count" if name == "count" else f"col-{name}", str(label)) for name, label in columns]
    select = _("Select")
    return format_html_join(
        "\n",
        '<tr data-id="{}" data-version="{}">{}{}</tr>',
        (
            (
                str(alert.pk),
                str(alert.version),
                format_html(_TICK, select, alert.title) if ticks else "",
                format_html_join(
                    "",
                    '<td class="{}" data-label="{}">{}</td>',
                    ((kind, label, _CELLS[name](alert)) for name, kind, label in named),
                ),
            )
            for alert in alerts
        ),
    )


def bars(histogram: Histogram) -> SafeString:
    """The bars of the histogram as SVG, each with the span of time it stands for."""
    severe = _("high or critical")
    return format_html_join("", "{}", ((_bar(bar, severe),) for bar in histogram.bars))


def _bar(bar: Bar, severe: str) -> SafeString:
    start, end = _local(bar.start), _local(bar.end)
    text = f"{start:%d/%m %H:%M} – {end:%d/%m %H:%M}: {bar.n}" + (f" ({severe}: {bar.severe})" if bar.severe else "")
    shapes = format_html('<rect class="slot" x="{}" y="0" width="1" height="100"></rect>', str(bar.place))
    for kind, height in (("bar-all", bar.height), ("bar-severe", bar.severe_height)):
        if height:
            part = '{}<rect class="{}" x="{}" y="0" width="0.82" height="{}"></rect>'
            shapes = format_html(part, shapes, kind, str(bar.place), str(height))
    times = f"{start:%Y-%m-%dT%H:%M}", f"{end:%Y-%m-%dT%H:%M}"
    return format_html('<g data-since="{}" data-until="{}"><title>{}</title>{}</g>', *times, text, shapes)


def _local(at: datetime) -> datetime:
    return timezone.localtime(at)
