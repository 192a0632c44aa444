"""Indicators of an incident: added, taken from text and alerts, shared by TLP, taken away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import record
from khien.console.concurrency import locked
from khien.console.incidents import observables
from khien.console.incidents.models import EntryKind, Incident, Indicator, IndicatorKind, Tlp
from khien.console.incidents.timeline import add_entry, unmerged

MOST = 2_000
"""Indicators of one incident; lists of thousands belong into a feed."""
ADDED = gettext_noop("Indicators added: %(count)s (%(some)s)")
REMOVED = gettext_noop("Indicator taken away: %(value)s")


def add_indicators(
    by: User, incident_pk: int, values: Iterable[tuple[str, str]], *, tlp: str = "AMBER", note: str = ""
) -> list[Indicator]:
    """Add indicators, kind and value; a kind of "" is found out. Those already there are passed over.

    Returns the new ones. Raises ValidationError for a value that is none of its kind.
    """
    demand(by, "incidents.work")
    if tlp not in Tlp.values:
        raise ValidationError({"tlp": _("Choose a TLP.")})
    with transaction.atomic():
        incident = unmerged(locked(Incident, incident_pk, None, by=by))
        added = add_values(by, incident, values, tlp=tlp, note=note)
        incident.save(update_fields=["updated_at"])
    return added


def add_values(
    by: User, incident: Incident, values: Iterable[tuple[str, str]], *, tlp: str, note: str = ""
) -> list[Indicator]:
    """Add indicators in the caller's transaction, which holds the incident."""
    there = set(incident.indicators.values_list("digest", flat=True))
    new: dict[str, Indicator] = {}
    for kind, value in values:
        kind = kind or observables.detect(value)
        try:
            normal = observables.normalise(kind, value)
        except ValueError:
            label = IndicatorKind(kind).label if kind in IndicatorKind.values else kind
            message = _("%(value)s is no %(kind)s.") % {"value": value[:80], "kind": label}
            raise ValidationError({"value": message}) from None
        digest = observables.digest(kind, normal)
        if digest not in there and digest not in new:
            new[digest] = Indicator(
                incident=incident, kind=kind, value=normal, digest=digest, tlp=tlp, note=note.strip()[:300], added_by=by
            )
    if len(there) + len(new) > MOST:
        message = ngettext(
            "An incident keeps at most %(most)s indicator.", "An incident keeps at most %(most)s indicators.", MOST
        )
        raise ValidationError({"value": message % {"most": MOST}})
    added = Indicator.objects.bulk_create(new.values())
    if added:
        some = ", ".join(each.defanged for each in added[:3]) + (" …" if len(added) > 3 else "")
        add_entry(by, incident, EntryKind.INDICATOR, ADDED, data={"params": {"count": len(added), "some": some}})
        record(by, "incident.add_indicators", incident, after={"indicators": [_plain(each) for each in added]})
    return added


def change_indicator(by: User, pk: int, version: int, *, tlp: str, note: str) -> Indicator:
    """Set with whom an indicator may be shared, and the note on it."""
    demand(by, "incidents.work")
    if tlp not in Tlp.values:
        raise ValidationError({"tlp": _("Choose a TLP.")})
    with transaction.atomic():
        indicator = locked(Indicator, pk, version, by=by)
        before = _plain(indicator)
        indicator.tlp, indicator.note = tlp, note.strip()[:300]
        indicator.version += 1
        indicator.save()
        record(by, "incident.change_indicator", indicator.incident, before=before, after=_plain(indicator))
    return indicator


def remove_indicator(by: User, pk: int, version: int) -> Incident:
    """Take away what turned out to be none; the timeline and the audit trail keep it."""
    demand(by, "incidents.work")
    with transaction.atomic():
        indicator = locked(Indicator, pk, version, by=by)
        incident = unmerged(locked(Incident, indicator.incident_id, None, by=by))
        add_entry(by, incident, EntryKind.INDICATOR, REMOVED, data={"params": {"value": indicator.defanged}})
        record(by, "incident.remove_indicator", incident, before=_plain(indicator))
        indicator.delete()
    return incident


def _plain(indicator: Indicator) -> dict[str, Any]:
    return {"kind": indicator.kind, "value": indicator.value, "tlp": indicator.tlp, "note": indicator.note}
