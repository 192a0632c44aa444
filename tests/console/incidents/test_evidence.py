"""Evidence is kept as it came, every step with it is written down, and it leaves encrypted."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
import pyzipper
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import ProtectedError
from django.urls import reverse
from django.utils import timezone

from khien.console.audit.models import Entry
from khien.console.concurrency import Changed
from khien.console.files import services as files
from khien.console.files.models import StoredFile
from khien.console.incidents import evidence as services
from khien.console.incidents import evidence_package, merging
from khien.console.incidents.evidence_models import Immutable
from khien.console.incidents.models import Custody, Evidence, Handling, Incident, Tlp
from khien.console.notifications.models import Notice

XSS = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, settings) -> Path:
    settings.DATA = tmp_path
    return tmp_path / "files"


def _upload(
    content: bytes = b"line of a log\n", name: str = "auth.log", kind: str = "text/plain"
) -> SimpleUploadedFile:
    upload = SimpleUploadedFile("x", content, kind)
    upload._name = name
    return upload


def _add(by, incident: Incident, *uploads: SimpleUploadedFile, **given) -> list[Evidence]:
    words = {"description": "Nhật ký", "collected_where": "SYT-PC-041", "collected_by": "Lê Mẫu", **given}
    words.setdefault("collected_at", timezone.now() - timedelta(hours=1))
    return [each.evidence for each in services.add_evidence(by, incident.pk, uploads or [_upload()], **words)]


def _kinds(evidence: Evidence) -> list[str]:
    return list(evidence.custody.values_list("kind", flat=True))


def _form(**changes) -> dict:
    return {
        "files": [_upload()],
        "description": "Nhật ký",
        "collected_at": "2026-11-24T09:00",
        "collected_where": "SYT-PC-041",
        "collected_by": "Lê Mẫu",
        **changes,
    }


def test_evidence_is_hashed_numbered_and_its_custody_begins(province, opened):
    incident = opened()
    first, second = _add(province.analyst, incident, _upload(b"a"), _upload(b"b"))
    third = _add(province.analyst, incident, _upload(b"c"))[0]
    assert [each.label for each in (first, second, third)] == ["CC-01", "CC-02", "CC-03"]
    assert first.file.sha256 == hashlib.sha256(b"a").hexdigest()
    entry = first.custody.get()
    assert (entry.kind, entry.by, entry.reason) == (Handling.UPLOADED, province.analyst, "Nhật ký")
    assert incident.entries.filter(kind="evidence").count() == 3
    assert Entry.objects.get(action="evidence.add", target_id=str(third.pk)).after["sha256"] == third.file.sha256


def test_what_belongs_to_custody_has_to_be_written(province, opened):
    incident = opened()
    for given in ({"description": " "}, {"collected_where": ""}, {"collected_at": timezone.now() + timedelta(days=1)}):
        with pytest.raises(ValidationError):
            _add(province.analyst, incident, **given)
    with pytest.raises(ValidationError):
        services.add_evidence(
            province.analyst,
            incident.pk,
            [],
            description="x",
            collected_at=timezone.now(),
            collected_where="x",
            collected_by="",
        )
    with pytest.raises(ValidationError):
        _add(province.analyst, incident, *[_upload()] * 21)
    with pytest.raises(ValidationError):
        _add(province.analyst, incident, _upload(b"ok"), _upload(b""))
    assert not Evidence.objects.exists()


def test_the_same_content_is_told_and_kept(province, opened):
    here, there = opened(), opened()
    first = _add(province.analyst, here)[0]
    again = services.add_evidence(
        province.analyst,
        there.pk,
        [_upload(name="copy.log")],
        description="x",
        collected_at=timezone.now(),
        collected_where="y",
        collected_by="z",
    )
    assert again[0].twins == [first]


def test_the_same_content_in_an_incident_one_may_not_see_is_not_told(province, opened):
    secret = opened()
    _add(province.analyst, secret)
    Incident.objects.filter(pk=secret.pk).update(tlp=Tlp.RED)
    mine = opened(by=province.analyst2)
    added = _add(province.analyst2, mine)[0]
    assert services.twins_of(province.analyst2, added) == []


def test_nothing_of_it_can_be_changed_or_deleted(province, opened):
    evidence = _add(province.analyst, opened())[0]
    entry = evidence.custody.get()
    evidence.description = "other"
    with pytest.raises(Immutable):
        evidence.save()
    with pytest.raises(Immutable):
        evidence.save(update_fields=["description"])
    for delete in (
        evidence.delete,
        Evidence.objects.all().delete,
        entry.delete,
        Custody.objects.all().delete,
        entry.save,
    ):
        with pytest.raises(Immutable):
            delete()
    with pytest.raises(Immutable):
        Custody.objects.update(reason="other")
    with pytest.raises(Immutable):
        Evidence.objects.update(description="other")
    with pytest.raises(ProtectedError):
        StoredFile.objects.all().delete()


def test_a_view_is_kept_once_in_a_while_and_audited(province, opened):
    evidence = _add(province.analyst, opened())[0]
    now = timezone.now()
    for minutes in (0, 1, 5):
        services.view_evidence(province.analyst2, evidence, now + timedelta(minutes=minutes))
    assert _kinds(evidence) == ["uploaded", "viewed"]
    services.view_evidence(province.analyst2, evidence, now + timedelta(minutes=11))
    services.view_evidence(province.chair, evidence, now + timedelta(minutes=12))
    assert _kinds(evidence) == ["uploaded", "viewed", "viewed", "viewed"]
    assert Entry.objects.filter(action="evidence.view").count() == 3


def test_verification_finds_changed_bytes_and_tells_the_team(province, opened):
    incident = opened()
    evidence = _add(province.analyst, incident)[0]
    assert services.verify_evidence(province.analyst2, evidence.pk)
    path = files.path_of(evidence.file.sha256)
    path.chmod(0o640)
    path.write_bytes(b"line of a lag\n")
    assert not services.verify_evidence(province.analyst2, evidence.pk)
    assert list(evidence.custody.filter(kind="verified").values_list("intact", flat=True)) == [True, False]
    assert Notice.objects.filter(kind="evidence.broken", urgent=True).exists()
    assert "SHA-256" in incident.entries.last().shown


def test_handing_over_names_the_receiver_and_the_reason(province, opened):
    evidence = _add(province.analyst, opened())[0]
    with pytest.raises(ValidationError):
        services.hand_over(province.analyst, evidence.pk, to="Công an tỉnh", reason=" ")
    services.hand_over(province.analyst, evidence.pk, to="Công an tỉnh", reason="Giám định")
    entry = evidence.custody.last()
    assert (entry.kind, entry.to, entry.reason) == ("handed_over", "Công an tỉnh", "Giám định")


def test_withdrawn_evidence_stays_with_its_reason(province, opened):
    evidence = _add(province.analyst, opened())[0]
    services.withdraw_evidence(province.analyst, evidence.pk, 1, reason="Nhầm máy")
    evidence.refresh_from_db()
    assert (evidence.withdrawn_reason, evidence.withdrawn_by) == ("Nhầm máy", province.analyst)
    assert files.path_of(evidence.file.sha256).exists()
    with pytest.raises(Changed):
        services.withdraw_evidence(province.analyst, evidence.pk, 1, reason="again")
    with pytest.raises(ValidationError):
        services.withdraw_evidence(province.analyst, evidence.pk, 2, reason="again")


def test_only_who_leads_withdraws_what_another_added(province, opened):
    incident = opened(by=province.health, unit="so-y-te")
    evidence = _add(province.analyst, incident)[0]
    with pytest.raises(PermissionDenied):
        services.withdraw_evidence(province.health, evidence.pk, 1, reason="x")
    services.withdraw_evidence(province.analyst2, evidence.pk, 1, reason="x")


def test_evidence_goes_with_its_incident_when_that_is_merged(province, opened):
    source, target = opened(), opened()
    _add(province.analyst, target, _upload(b"1"))
    moved = _add(province.analyst, source, _upload(b"2"))[0]
    merging.merge(province.analyst, source.pk, source.version, target.pk)
    moved.refresh_from_db()
    assert (moved.incident, moved.label) == (target, "CC-02")
    assert moved.custody.last().reason == f"{source.number} CC-01"
    with pytest.raises(ValidationError):
        _add(province.analyst, source, _upload(b"3"))


class _Meanwhile(SimpleUploadedFile):
    """An upload during whose arrival something happens."""

    def __init__(self, content: bytes, happens) -> None:
        super().__init__("late.log", content)
        self.happens = happens

    def chunks(self, chunk_size=None):
        yield from super().chunks(chunk_size)
        self.happens()


def test_what_arrives_for_an_incident_merged_meanwhile_leaves_nothing(province, opened, own_folder):
    source, target = opened(), opened()
    late = _Meanwhile(b"late", lambda: merging.merge(province.analyst, source.pk, source.version, target.pk))
    with pytest.raises(ValidationError, match="merged"):
        _add(province.analyst, source, _upload(b"before"), late)
    assert [path for path in own_folder.rglob("*") if path.is_file()] == []
    assert not StoredFile.objects.exists()


def test_one_wrong_file_among_several_leaves_nothing_of_the_others(province, opened, own_folder):
    with pytest.raises(ValidationError, match="empty"):
        _add(province.analyst, opened(), _upload(b"good"), _upload(b""))
    assert [path for path in own_folder.rglob("*") if path.is_file()] == []
    assert not StoredFile.objects.exists()


def test_what_lies_there_already_stays_when_an_upload_is_refused(province, opened):
    source, target = opened(), opened()
    kept = _add(province.analyst, target, _upload(b"same"))[0]
    late = _Meanwhile(b"same", lambda: merging.merge(province.analyst, source.pk, source.version, target.pk))
    with pytest.raises(ValidationError, match="merged"):
        _add(province.analyst, source, late)
    assert files.is_intact(kept.file)


def test_roles_and_units_bound_who_may_do_what(province, opened):
    incident = opened(by=province.health, unit="so-y-te")
    evidence = _add(province.health, incident)[0]
    for stranger in (province.commune, province.hospital):
        assert not Evidence.objects.visible_to(stranger).exists()
        for call in (
            lambda who: _add(who, incident),
            lambda who: services.verify_evidence(who, evidence.pk),
            lambda who: services.hand_over(who, evidence.pk, to="x", reason="y"),
            lambda who: services.withdraw_evidence(who, evidence.pk, 1, reason="y"),
        ):
            with pytest.raises((Incident.DoesNotExist, Evidence.DoesNotExist)):
                call(stranger)
    for unfit in (province.press, province.auditor, province.admin, province.chair):
        with pytest.raises(PermissionDenied):
            _add(unfit, incident)
    assert _kinds(evidence) == ["uploaded"]


def _download(client, incident: Incident, numbers: list[int], reason: str = "Giám định"):
    page = client.post(
        reverse("incidents:evidence_package", args=[incident.pk]), {"numbers": numbers, "reason": reason}
    )
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    password, token = page.context["password"], page.context["token"]
    assert page.content.decode().count(password) == 2  # shown, and in the button that copies it
    response = client.post(reverse("incidents:evidence_download", args=[incident.pk]), {"token": token})
    return password, token, response


def test_evidence_leaves_as_an_encrypted_archive_with_a_manifest(province, opened, signed_in):
    incident = opened(title="Xâm nhập")
    big = bytes(range(256)) * 20_000
    _add(province.analyst, incident, _upload(big, "đĩa.img"), _upload(b"b", "../../x.html"), _upload(b"c"))
    client = signed_in(province.analyst2)
    password, _token, response = _download(client, incident, [1, 2])
    assert response.status_code == 200
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"] == f'attachment; filename="{incident.number}-evidence.zip"'
    content = b"".join(response.streaming_content)
    assert b"Nh\xe1\xba\xadt k\xc3\xbd" not in content
    with pytest.raises(RuntimeError), zipfile.ZipFile(io.BytesIO(content)) as plain:
        plain.read("manifest.json")
    with pyzipper.AESZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["manifest.json", "CC-01.bin", "CC-02.bin"]
        assert all(each.flag_bits & 1 for each in archive.infolist())
        assert all(
            each.wz_aes_strength == 3 for each in archive.infolist() if archive.open(each, pwd=password.encode())
        )
        archive.setpassword(password.encode())
        manifest = json.loads(archive.read("manifest.json"))
        assert archive.read("CC-01.bin") == big
    first, second = manifest["evidence"]
    assert (first["name"], first["sha256"]) == ("đĩa.img", hashlib.sha256(big).hexdigest())
    assert second["name"] == "_.._x.html"
    assert [step["what"] for step in first["custody"]] == ["uploaded", "downloaded"]
    assert (manifest["incident"], manifest["reason"], manifest["made_by"]) == (
        *(incident.number, "Giám định", province.analyst2.name),
    )
    evidence = incident.evidence.get(number=1)
    assert evidence.custody.last().kind == "downloaded"
    assert Entry.objects.filter(action="evidence.download", actor=province.analyst2).count() == 2
    assert password not in json.dumps(list(Entry.objects.values_list("after", flat=True)))


def test_passwords_are_long_and_never_the_same(province):
    made = {evidence_package.new_password() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"([a-z2-9]{5}-){4}[a-z2-9]{5}", each) for each in made)


def test_a_download_needs_a_token_of_one_s_own_that_is_fresh(province, opened, signed_in, monkeypatch):
    incident, other = opened(), opened()
    _add(province.analyst, incident)
    _add(province.analyst, other)
    _password, token, response = _download(signed_in(province.analyst), incident, [1])
    assert b"".join(response.streaming_content).startswith(b"PK")
    count = Custody.objects.filter(kind="downloaded").count()
    download = reverse("incidents:evidence_download", args=[incident.pk])
    for client, url, given in (
        (signed_in(province.analyst2), download, token),
        (signed_in(province.analyst), reverse("incidents:evidence_download", args=[other.pk]), token),
        (signed_in(province.analyst), download, token[:-2]),
        (signed_in(province.analyst), download, ""),
    ):
        assert client.post(url, {"token": given}).status_code == 302
    monkeypatch.setattr(evidence_package, "LIVES", -1)
    assert signed_in(province.analyst).post(download, {"token": token}).status_code == 302
    assert Custody.objects.filter(kind="downloaded").count() == count
    assert signed_in(province.analyst).get(download).status_code == 405


def test_a_download_breaks_off_when_the_bytes_are_not_those_uploaded(province, opened, signed_in):
    incident = opened()
    evidence = _add(province.analyst, incident)[0]
    path = files.path_of(evidence.file.sha256)
    path.chmod(0o640)
    path.write_bytes(b"other")
    _password, _token, response = _download(signed_in(province.analyst), incident, [1])
    with pytest.raises(ValueError, match="damaged"):
        b"".join(response.streaming_content)
    path.unlink()
    page = signed_in(province.analyst).post(
        reverse("incidents:evidence_package", args=[incident.pk]), {"numbers": [1], "reason": "x"}
    )
    assert page.status_code == 422
    assert "gone from the disk" in page.content.decode()


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_pages_show_evidence_and_custody(province, opened, signed_in, language):
    incident = opened()
    _add(
        province.analyst,
        incident,
        _upload(name=f"{XSS}.svg", kind="image/svg+xml"),
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
    assert _kinds(evidence) == ["uploaded", "handed_over", "verified", "viewed"]


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
    response = client.post(url, _form(files=[_upload(b"1"), _upload(b"2", XSS)]))
    assert (response.status_code, response.url) == (302, url)
    page = client.get(url).content.decode()
    assert "2 pieces of evidence were added." in page
    answer = client.post(url, _form(files=[_upload(b"1", XSS)]), headers={"Accept": "application/json"})
    assert answer.json() == {"url": url}
    page = client.get(url).content.decode()
    assert "has the same content as" in page
    assert XSS not in page
    assert incident.evidence.count() == 3


def test_a_refused_upload_says_why_and_keeps_what_was_written(province, opened, signed_in):
    incident = opened()
    client = signed_in(province.analyst)
    url = reverse("incidents:evidence", args=[incident.pk])
    page = client.post(url, _form(files=[], collected_where="Phòng máy"))
    assert page.status_code == 422
    assert "Phòng máy" in page.content.decode()
    answer = client.post(url, _form(description=""), headers={"Accept": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0].startswith("What it is: ")
    empty = client.post(url, _form(files=[_upload(b"")]), headers={"Accept": "application/json"})
    assert empty.status_code == 422
    assert not incident.evidence.exists()


def test_hostile_uploads_are_bytes_and_nothing_else(province, opened, signed_in):
    incident = opened()
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * 10_000_000)
    _add(
        province.analyst,
        incident,
        _upload(bomb.getvalue(), "bomb.zip", "application/zip"),
        _upload(b"<html><script>alert(1)</script>", "page.html", "text/html"),
        _upload(b"<svg onload=alert(1)/>", "image.svg", "image/svg+xml"),
    )
    assert incident.evidence.get(number=1).file.size == len(bomb.getvalue())
    client = signed_in(province.analyst)
    for number in (1, 2, 3):
        page = client.get(reverse("incidents:evidence_detail", args=[incident.pk, number]))
        assert page["Content-Type"].startswith("text/html")
        assert b"alert(1)" not in page.content


def test_actions_of_the_page(province, opened, signed_in):
    incident = opened()
    evidence = _add(province.analyst, incident)[0]
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
    assert _kinds(evidence) == ["uploaded", "verified", "viewed", "handed_over", "withdrawn"]


def test_pages_are_closed_to_whom_they_do_not_concern(province, opened, signed_in, client):
    incident = opened(by=province.health, unit="so-y-te")
    _add(province.health, incident)
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
    assert signed_in(province.chair).post(urls["get"][0], _form()).status_code == 403
    Incident.objects.filter(pk=incident.pk).update(tlp=Tlp.RED)
    assert signed_in(province.analyst).get(urls["get"][0]).status_code == 404
    assert signed_in(province.chair).get(urls["get"][0]).status_code == 200


def test_pages_make_a_bounded_number_of_queries(province, opened, signed_in, django_assert_max_num_queries):
    incident = opened()
    client = signed_in(province.analyst)
    url = reverse("incidents:evidence", args=[incident.pk])
    for count in (2, 20):
        _add(province.analyst, incident, *[_upload(str(n).encode()) for n in range(count)])
        with django_assert_max_num_queries(16):
            client.get(url)
    for _ in range(20):
        services.hand_over(province.analyst, incident.evidence.get(number=1).pk, to="x", reason="y")
    with django_assert_max_num_queries(30):
        client.get(reverse("incidents:evidence_detail", args=[incident.pk, 1]))
