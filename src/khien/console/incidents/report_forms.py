"""The form of a report to the authorities, filled with what is known."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.accounts.models import User
from khien.console.frame.forms import Form
from khien.console.incidents.models import Incident
from khien.console.incidents.reports import ReportFacts, ReportKind
from khien.console.units.office import office

_YES_NO = [("", _("Not known yet")), ("1", _("Yes")), ("0", _("No"))]


def _text(label: Any, *, rows: int = 0, required: bool = False, most: int = 4000) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": rows}) if rows else forms.TextInput()
    return forms.CharField(label=label, required=required, max_length=most, widget=widget)


class YesNoField(forms.TypedChoiceField):
    """Yes, no, or not known yet (None)."""

    def __init__(self, **kwargs: Any) -> None:
        coerce = {"1": True, "0": False}.get
        super().__init__(choices=_YES_NO, coerce=coerce, empty_value=None, required=False, **kwargs)


class ReportForm(Form):
    """What a report says beside what the incident tells. Fields in groups, as `GROUPS` names them."""

    kind = forms.ChoiceField(label=_("Report"), choices=ReportKind.choices)
    addressees = _text(_("Addressed to"), rows=2, required=True)
    issuer = _text(_("Issued by"), required=True, most=200)
    parent = _text(_("Parent agency"), most=200)
    number = forms.IntegerField(label=_("Number"), required=False, min_value=1, max_value=99_999)
    sign = _text(_("Sign after the number"), most=60)
    place = _text(pgettext_lazy("document", "Place"), most=100)
    day = forms.DateField(label=_("Date"), required=False)
    position = _text(_("Signer's position"), most=120)
    signer = _text(_("Signer"), most=120)
    reporter = _text(_("Reporter"), most=200)
    contact = _text(_("Contact"), most=300)
    description = _text(_("Description"), rows=4)
    how_detected = _text(_("How it was detected"), rows=2)
    handled = YesNoField(label=_("Handled"))
    measures = _text(_("Measures taken, result"), rows=3)
    already_told = _text(_("Already told"), most=500)
    confidential = YesNoField(label=_("To be kept confidential"))
    support_wanted = _text(_("Support wanted"), rows=2)
    providers = _text(_("Providers of services and infrastructure"), most=500)
    os_version = _text(_("Operating system and version"), most=300)
    services = _text(_("Services of the system"), most=500)
    safeguards = _text(_("Safeguards in place"), most=1000)
    purpose = _text(_("Purpose of the system"), most=500)

    GROUPS = (
        (
            _("Document"),
            ("kind", "addressees", "issuer", "parent", "number", "sign", "place", "day", "position", "signer"),
        ),
        (_("Reporter"), ("reporter", "contact")),
        (
            _("Incident"),
            (
                *("description", "how_detected", "handled", "measures", "already_told"),
                *("confidential", "support_wanted"),
            ),
        ),
        (_("System"), ("providers", "os_version", "services", "safeguards", "purpose")),
    )
    WIDE = ("addressees", "description", "how_detected", "measures", "support_wanted", "safeguards")

    def __init__(self, user: User, incident: Incident, *args: Any, **kwargs: Any) -> None:
        head = office()
        clock = incident.clocks.filter(state="open").order_by("due_at").first()
        initial = {
            "kind": ReportKind.CLOSING if incident.closed_at else ReportKind.FIRST,
            "addressees": clock.recipient_vi if clock else "",
            "issuer": head.issuer,
            "parent": head.parent,
            "place": head.place,
            "sign": head.sign("BC"),
            "day": timezone.localdate(),
            "reporter": user.unit.name,
            "contact": ", ".join(part for part in (user.name, user.phone, user.email) if part),
            "description": incident.description,
        }
        super().__init__(*args, initial=initial, **kwargs)
        self.fields["addressees"].help_text = _("One a line.")
        self.fields["number"].help_text = _("Leave it empty for room to write it in.")

    def groups(self) -> list[tuple[str, list[tuple[forms.BoundField, bool]]]]:
        """The fields by group, each with whether it takes a whole row."""
        return [(str(title), [(self[name], name in self.WIDE) for name in names]) for title, names in self.GROUPS]

    def facts(self) -> ReportFacts:
        """What was written, for `report_incident`."""
        given = dict(self.cleaned_data)
        given["addressees"] = [line.strip(" -;.") for line in given["addressees"].splitlines() if line.strip(" -;.")]
        return ReportFacts(**given)
