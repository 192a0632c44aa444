"""The pages of evidence: uploading, looking, acting, and who may not."""

from __future__ import annotations

import io
import zipfile

import pytest
from django.urls import reverse

from console_evidence import XSS, add_evidence, form, kinds, upload_of
from khien.console.incidents import evidence as services
from khien.console.incidents.models import Incident, Tlp

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_pages_show_evidence_and_custody(province, opened, signed_in, language):
    incident = opened()
    add_evidence(
        province.analyst,
        incident,
        upload_of(name=f"{XSS}.svg", kind="image/svg+xml"),
        description=XSS,
        collected_where=XSS,
    )
    evidence = incident.evidence.get()
    services.hand_over(province.analyst, evidence.pk, to=XSS, reason=XSS)
    services.verify_evidence(province.analyst, evidence.pk)
    client = signed_in(province.analyst2, language)
    page = client.get(reverse("incidents:evidence", args=[incident.pk])).content.decode()
    assert "CC-01" in page
    assert ("Chuỗi lưu giữ" if language == "vi" else "Chain of custody") in client.get(
        reverse("incidents:evidence_detail", args=[incident.pk, 1])
    ).content.decode()
    for url in (
        reverse("incidents:evidence", args=[incident.pk]),
        reverse("incidents:evidence_detail", args=[incident.pk, 1]),
    ):
        content = client.get(url).content.decode()
        assert XSS not in content
        assert "&lt;script&gt;" in content
    assert kinds(evidence) == ["uploaded", "handed_over", "verified", "viewed"]


def test_an_empty_page_says_what_evidence_is_for(province, opened, signed_in):
    page = signed_in(province.analyst).get(reverse("incidents:evidence", args=[opened().pk])).content.decode()
    assert "No evidence yet" in page
    assert 'name="files"' in page
    chair = signed_in(province.chair).get(reverse("incidents:evidence", args=[opened().pk])).content.decode()
    assert 'name="files"' not in chair


def test_uploading_through_the_page_with_and_without_script(province, opened, signed_in):
    incident = opened()
    client = signed_in(province.analyst)
    url = reverse("incidents:evidence", args=[incident.pk])
    response = client.post(url, form(files=[upload_of(b"1"), upload_of(b"2", XSS)]))
    assert (response.status_code, response.url) == (302, url)
    page = client.get(url).content.decode()
    assert "2 pieces of evidence were added." in page
    answer = client.post(url, form(files=[upload_of(b"1", XSS)]), headers={"Accept": "application/json"})
    assert answer.json() == {"url": url}
    page = client.get(url).content.decode()
    assert "has the same content as" in page
    assert XSS not in page
    assert incident.evidence.count() == 3


def test_a_refused_upload_says_why_and_keeps_what_was_written(province, opened, signed_in):
    incident = opened()
    client = signed_in(province.analyst)
    url = reverse("incidents:evidence", args=[incident.pk])
    page = client.post(url, form(files=[], collected_where="Phòng máy"))
    assert page.status_code == 422
    assert "Phòng máy" in page.content.decode()
    answer = client.post(url, form(description=""), headers={"Accept": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0].startswith("What it is: ")
    empty = client.post(url, form(files=[upload_of(b"")]), headers={"Accept": "application/json"})
    assert empty.status_code == 422
    assert not incident.evidence.exists()


def test_hostile_uploads_are_bytes_and_nothing_else(province, opened, signed_in):
    incident = opened()
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * 10_000_000)
    add_evidence(
        province.analyst,
        incident,
        upload_of(bomb.getvalue(), "bomb.zip", "application/zip"),
        upload_of(b"<html><script>alert(1)</script>", "page.html", "text/html"),
        upload_of(b"<svg onload=alert(1)/>", "image.svg", "image/svg+xml"),
    )
    assert incident.evidence.get(number=1).file.size == len(bomb.getvalue())
    client = signed_in(province.analyst)
    for number in (1, 2, 3):
        page = client.get(reverse("incidents:evidence_detail", args=[incident.pk, number]))
        assert page["Content-Type"].startswith("text/html")
        assert b"alert(1)" not in page.content


def test_actions_of_the_page(province, opened, signed_in):
    incident = opened()
    evidence = add_evidence(province.analyst, incident)[0]
    client = signed_in(province.analyst)
    detail = reverse("incidents:evidence_detail", args=[incident.pk, 1])
    assert client.post(f"{detail}verify").url == detail
    assert "intact" in client.get(detail).content.decode()
    missing = client.post(f"{detail}hand-over", {"to": "Công an tỉnh"})
    assert missing.status_code == 422
    assert "Công an tỉnh" in missing.content.decode()
    assert client.post(f"{detail}hand-over", {"to": "Công an tỉnh", "reason": "x"}).url == detail
    stale = client.post(f"{detail}withdraw", {"version": 7, "reason": "Nhầm máy"})
    assert stale.status_code == 409
    assert "Nhầm máy" in stale.content.decode()
    assert client.post(f"{detail}withdraw", {"version": 1, "reason": "Nhầm máy"}).url == detail
    assert "Nhầm máy" in client.get(detail).content.decode()
    assert kinds(evidence) == ["uploaded", "verified", "viewed", "handed_over", "withdrawn"]


def test_pages_are_closed_to_whom_they_do_not_concern(province, opened, signed_in, client):
    incident = opened(by=province.health, unit="so-y-te")
    add_evidence(province.health, incident)
    urls = {
        "get": [
            reverse("incidents:evidence", args=[incident.pk]),
            reverse("incidents:evidence_detail", args=[incident.pk, 1]),
        ],
        "post": [
            reverse(f"incidents:evidence_{name}", args=[incident.pk, 1]) for name in ("verify", "hand_over", "withdraw")
        ]
        + [reverse(f"incidents:evidence_{name}", args=[incident.pk]) for name in ("package", "download")],
    }
    for method, each in ((method, url) for method, some in urls.items() for url in some):
        assert getattr(client, method)(each).status_code == 302
        assert getattr(signed_in(province.commune), method)(each).status_code == 404
        for role in (province.press, province.auditor, province.admin, province.telecom):
            assert getattr(signed_in(role), method)(each).status_code == 403
        if method == "post":
            assert signed_in(province.chair).post(each).status_code == 403
    assert signed_in(province.chair).post(urls["get"][0], form()).status_code == 403
    Incident.objects.filter(pk=incident.pk).update(tlp=Tlp.RED)
    assert signed_in(province.analyst).get(urls["get"][0]).status_code == 404
    assert signed_in(province.chair).get(urls["get"][0]).status_code == 200


def test_pages_make_a_bounded_number_of_queries(province, opened, signed_in, django_assert_max_num_queries):
    incident = opened()
    client = signed_in(province.analyst)
    url = reverse("incidents:evidence", args=[incident.pk])
    for count in (2, 20):
        add_evidence(province.analyst, incident, *[upload_of(str(n).encode()) for n in range(count)])
        with django_assert_max_num_queries(16):
            client.get(url)
    for _ in range(20):
        services.hand_over(province.analyst, incident.evidence.get(number=1).pk, to="x", reason="y")
    with django_assert_max_num_queries(30):
        client.get(reverse("incidents:evidence_detail", args=[incident.pk, 1]))
