"""What mails about incidents may say."""

import pytest
from django.utils import timezone

from khien.console.incidents.models import Incident
from khien.console.incidents.people import LEADS, tell
from khien.console.notifications.models import Notice

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("tlp", "said"), [("AMBER", True), ("GREEN", True), ("RED", False), ("AMBER+STRICT", False)])
def test_a_mail_names_an_incident_unless_it_is_for_named_eyes_only(province, tlp, said):
    incident = Incident(
        number="SC-1",
        title="Stolen files",
        tlp=tlp,
        unit=province.units["so-y-te"],
        level=3,
        detected_at=timezone.now(),
    )
    incident.leader = province.analyst
    incident.save()
    tell(incident, [province.analyst], "incident.lead", LEADS)
    notice = Notice.objects.get(user=province.analyst, kind="incident.lead")
    assert "Stolen files" in notice.worded()
    assert ("Stolen files" in notice.worded(hiding=True)) is said
    assert "SC-1" in notice.worded(hiding=True)
