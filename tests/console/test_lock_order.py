"""Writers that hold the same rows and the end of the audit trail wait for each other, and none of them fails."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from console_threads import at_once
from khien.console.accounts import people
from khien.console.alerts import services as alerts
from khien.console.alerts.making import create_alert
from khien.console.alerts.models import Status
from khien.console.audit.models import Entry, Head
from khien.console.incidents import merging
from khien.console.incidents import services as incidents
from khien.console.incidents.models import Incident

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.alone]


def test_an_alert_is_closed_while_an_incident_is_opened_from_it(province: Any, monkeypatch: Any) -> None:
    analyst, unit = province.analyst, province.units["so-y-te"]
    alert = create_alert(analyst, title="Seen", level=3, unit=unit)
    link = incidents.link_alerts

    def slowly(*given: Any) -> None:  # the incident's entry in the trail is written, its alert not held yet
        time.sleep(0.5)
        link(*given)

    monkeypatch.setattr(incidents, "link_alerts", slowly)
    wrong = at_once(
        lambda: incidents.open_incident(analyst, title="Incident", level=3, unit=unit, alerts=[alert]),
        lambda: alerts.close(analyst, alert, verdict="benign"),
    )
    assert wrong == []
    alert.refresh_from_db()
    assert (alert.status, alert.incident) == (Status.CLOSED, Incident.objects.get())
    assert Entry.objects.count() == Head.objects.get().number


def test_alerts_are_made_while_others_are_closed(province: Any, monkeypatch: Any) -> None:
    analyst, unit = province.analyst, province.units["so-y-te"]
    many = [create_alert(analyst, title=f"Seen {n}", level=3, unit=unit) for n in range(6)]
    works = [lambda each=each: alerts.close(analyst, each, verdict="benign") for each in many]
    works += [lambda n=n: create_alert(analyst, title=f"New {n}", level=3, unit=unit) for n in range(6)]
    assert at_once(*works) == []


def test_a_person_is_changed_while_doing_something_that_is_written_down(province: Any, monkeypatch: Any) -> None:
    officer, unit = province.health, province.units["so-y-te"]
    apply = people._apply

    def slowly(*given: Any) -> None:  # the person is held, the trail not yet
        time.sleep(0.5)
        apply(*given)

    monkeypatch.setattr(people, "_apply", slowly)
    wrong = at_once(
        lambda: people.change_profile(officer, None, {"phone": "0901"}),
        lambda: create_alert(officer, title="Seen", level=2, unit=unit, at=timezone.now()),
    )
    assert wrong == []


def test_an_incident_that_is_being_merged_gets_no_alert_that_would_stay_behind(province: Any, monkeypatch: Any) -> None:
    analyst, unit = province.analyst, province.units["so-y-te"]
    source, target = (incidents.open_incident(analyst, title=each, level=3, unit=unit) for each in "ab")
    alert = create_alert(analyst, title="Seen", level=3, unit=unit)
    unite = merging._unite

    def slowly(*given: Any) -> None:  # the alerts are moved, the incident is not yet called merged
        time.sleep(0.5)
        unite(*given)

    monkeypatch.setattr(merging, "_unite", slowly)
    wrong = at_once(
        lambda: merging.merge(analyst, source.pk, source.version, target.pk),
        lambda: alerts.link_to_incident(analyst, alert, source),
    )
    assert [type(each) for each in wrong] == [ValidationError]
    alert.refresh_from_db()
    assert alert.incident is None
