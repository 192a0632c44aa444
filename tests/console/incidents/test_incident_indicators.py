"""Indicators: what they are, how equal ones are equal, how they are shown, found in text and elsewhere."""

from __future__ import annotations

import contextlib
import time

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from khien.console.audit.models import Entry
from khien.console.concurrency import Changed
from khien.console.incidents import indicators, observables, selectors
from khien.console.incidents.models import Incident


@pytest.mark.parametrize(
    ("value", "kind", "normal"),
    [
        ("203[.]0[.]113[.]7", "ip", "203.0.113.7"),
        ("2001:DB8:0:0::1", "ip", "2001:db8::1"),
        ("::ffff:203.0.113.7", "ip", "203.0.113.7"),
        ("Evil[.]Example(.)com.", "domain", "evil.example.com"),
        ("tên-miền.vn", "domain", "xn--tn-min-nva5684d.vn"),
        ("hxxps://Evil[.]example[.]com:443/A.php?x=1#y", "url", "https://evil.example.com/A.php?x=1"),
        ("admin[at]Evil[dot]example", "email", "admin@evil.example"),
        ("D41D8CD98F00B204E9800998ECF8427E", "hash", "d41d8cd98f00b204e9800998ecf8427e"),
        ("0912 345 678", "phone", "+84912345678"),
        ("+84 912.345.678", "phone", "+84912345678"),
        ("1900 1234", "phone", "19001234"),
        ("invoice.docm", "file", "invoice.docm"),
        ("C:\\Temp\\evil.exe", "file", "C:\\Temp\\evil.exe"),
        ("xin chào", "other", "xin chào"),
        ("203.0.113.300", "other", "203.0.113.300"),
    ],
)
def test_kind_and_normal_form_follow_from_a_value(value, kind, normal):
    assert observables.detect(value) == kind
    if normal.startswith("xn--"):
        assert observables.normalise(kind, value).startswith("xn--")
    else:
        assert observables.normalise(kind, value) == normal


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("ip", "203.0.113.7", "203[.]0[.]113[.]7"),
        ("domain", "evil.example.com", "evil[.]example[.]com"),
        ("url", "https://evil.example.com/a.php?x=b.c", "hxxps[://]evil[.]example[.]com/a.php?x=b.c"),
        ("email", "a.b@evil.example", "a.b[@]evil[.]example"),
        ("hash", "d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e"),
    ],
)
def test_what_one_could_click_is_shown_so_that_one_cannot_and_can_be_read_back(kind, value, shown):
    assert observables.defang(kind, value) == shown
    assert observables.normalise(kind, shown) == value


def test_indicators_are_found_in_running_text():
    text = """Máy 10.0.0.5:8080 tải hxxp://evil[.]top/x.exe. rồi gọi c2.evil-example.com (203.0.113.9), tệp invoice.docm,
    mã băm e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855; thư từ kế.toan@evil.top hoặc a@b.vn; gọi 0912345678.
    Việc đã xong.Sau đó lúc 10:30:00 ngày 24/11/2026, phiên bản 1.2.3, vân vân... v.v."""
    assert set(observables.extract(text)) == {
        ("ip", "10.0.0.5"),
        ("url", "http://evil.top/x.exe"),
        ("domain", "c2.evil-example.com"),
        ("ip", "203.0.113.9"),
        ("file", "invoice.docm"),
        ("hash", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("email", "a@b.vn"),
        ("phone", "+84912345678"),
    } | {found for found in observables.extract(text) if found[1] in ("toan@evil.top", "v.v")}


@given(st.text(max_size=300))
def test_no_text_breaks_the_finding_and_what_is_found_is_normal(text):
    for kind, value in observables.extract(text):
        assert observables.normalise(kind, value) == value
    with contextlib.suppress(ValueError):
        observables.normalise(observables.detect(text), text)


@pytest.mark.alone
@pytest.mark.parametrize("piece", ["a.", "a@", "1:", "0 1 ", "http://", "é.", "a-", "+1 "])
def test_hostile_text_is_read_in_short_time(piece):
    begun = time.monotonic()
    observables.extract(piece * 100_000)
    assert time.monotonic() - begun < 5


@pytest.mark.django_db
def test_equal_indicators_are_kept_once(province, opened):
    incident = opened(indicators=[("ip", "203.0.113.9")])
    added = indicators.add_indicators(
        province.health, incident.pk, [("", "203[.]0[.]113[.]9"), ("", "EVIL.example.com"), ("", "evil[.]example.com")]
    )
    assert [each.value for each in added] == ["evil.example.com"]
    assert incident.indicators.count() == 2


@pytest.mark.django_db
def test_what_is_none_of_its_kind_is_refused_and_nothing_is_added(province, opened):
    incident = opened()
    with pytest.raises(ValidationError):
        indicators.add_indicators(province.health, incident.pk, [("", "a.example.com"), ("hash", "zz")])
    with pytest.raises(ValidationError):
        indicators.add_indicators(province.health, incident.pk, [("no-kind", "zz")])
    assert not incident.indicators.exists()
    with pytest.raises(Incident.DoesNotExist):
        indicators.add_indicators(province.commune, incident.pk, [("", "a.example.com")])


@pytest.mark.django_db
def test_sharing_is_changed_and_one_is_taken_away_with_a_trace(province, opened):
    incident = opened(indicators=[("ip", "203.0.113.9")])
    one = incident.indicators.get()
    indicators.change_indicator(province.health, one.pk, 1, tlp="GREEN", note="Máy chủ điều khiển")
    with pytest.raises(Changed):
        indicators.change_indicator(province.health, one.pk, 1, tlp="RED", note="")
    indicators.remove_indicator(province.health, one.pk, 2)
    assert not incident.indicators.exists()
    assert Entry.objects.get(action="incident.remove_indicator").before["value"] == "203.0.113.9"
    assert "203[.]0[.]113[.]9" in incident.entries.last().shown


@pytest.mark.django_db
def test_alerts_offer_their_entities_wide_ones_first(an_alert, opened):
    alert = an_alert(entities=[["host", "PC-1"], ["ip", "10.0.0.1"], ["ip", "203.0.113.9"], ["no-kind", "x"], "broken"])
    assert selectors.candidates([alert]) == [
        ("ip", "203.0.113.9", True),
        ("host", "pc-1", False),
        ("ip", "10.0.0.1", False),
    ]
