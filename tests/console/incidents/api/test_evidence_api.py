"""Evidence through the API: the same custody, the same archive, nothing twice."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest
import pyzipper
from django.core.files.uploadedfile import SimpleUploadedFile

from console_api import Api
from khien.console.api.models import IdempotentAnswer
from khien.console.audit.models import Entry
from khien.console.files.services import path_of
from khien.console.incidents.models import Evidence

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, settings) -> Path:
    settings.DATA = tmp_path
    return tmp_path / "files"


def _form(*contents: bytes, **changes) -> dict:
    return {
        "files": [SimpleUploadedFile(f"nhật ký {n}.log", each) for n, each in enumerate(contents)],
        "description": "Nhật ký",
        "collected_at": "2026-11-24T09:00:00+07:00",
        "collected_where": "SYT-PC-041",
        **changes,
    }


def _added(api: Api, incident, *contents: bytes) -> list[dict]:
    answer = api.form(f"/incidents/{incident.pk}/evidence", _form(*contents))
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_files_are_added_with_their_sha256_and_looked_at_with_their_custody(province, opened):
    made, api = opened(), Api(province.health)
    first, second = _added(api, made, b"a", b"b")
    assert (first["label"], second["label"], first["name"]) == ("CC-01", "CC-02", "nhật ký 0.log")
    assert first["sha256"] == hashlib.sha256(b"a").hexdigest()
    assert first["collected_by"] == province.health.name
    listed = api("GET", f"/incidents/{made.pk}/evidence").json()
    assert [each["number"] for each in listed] == [1, 2]
    one = api("GET", f"/incidents/{made.pk}/evidence/1").json()
    assert [each["kind"] for each in one["custody"]] == ["uploaded", "viewed"]
    assert Entry.objects.filter(action="evidence.view", actor=province.health).count() == 1
    assert api("GET", f"/incidents/{made.pk}/evidence/3").status_code == 404
    again = _added(api, opened(), b"a")[0]
    assert [(each["incident"]["id"], each["number"]) for each in again["twins"]] == [(made.pk, 1)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"files": []},
        {"files": [SimpleUploadedFile("rỗng", b"")]},
        {"description": ""},
        {"description": "a\0b"},
        {"collected_at": "2200-01-01T00:00:00Z"},
        {"collected_at": "2026-11-24T09:00:00"},
        {"collected_where": "x" * 301},
    ],
)
def test_what_is_wrong_is_refused_and_nothing_kept(province, opened, own_folder, wrong):
    made, api = opened(), Api(province.health)
    assert api.form(f"/incidents/{made.pk}/evidence", {**_form(b"a"), **wrong}).status_code == 422
    assert [each for each in own_folder.rglob("*") if each.is_file()] == []
    assert not Evidence.objects.exists()


def test_an_upload_sent_twice_is_kept_once(province, opened):
    made, api = opened(), Api(province.health)
    here, key = f"/incidents/{made.pk}/evidence", {"Idempotency-Key": "một"}
    first = api.form(here, _form(b"a" * (6 << 20)), **key)
    again = api.form(here, _form(b"a" * (6 << 20)), **key)
    assert (first.status_code, again.status_code) == (201, 201), first.content
    assert first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert Evidence.objects.count() == 1
    other = api.form(here, _form(b"b" * (6 << 20)), **key)
    assert (other.status_code, other.json()["code"]) == (422, "invalid")
    assert api.form(here, _form(b"a" * (6 << 20), description="Khác"), **key).status_code == 422
    assert Evidence.objects.count() == 1


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
def test_a_body_that_is_no_form_or_too_large_is_refused(province, opened, headers):
    made, api = opened(), Api(province.health)
    sent = {"Authorization": f"Bearer {api.secret}", **headers}
    address = f"/api/v1/incidents/{made.pk}/evidence"
    broken = api.client.generic("POST", address, b"--x\r\nbroken", "multipart/form-data", headers=sent)
    assert broken.status_code in (400, 422)
    assert broken.json()["code"] in ("unreadable", "invalid")
    large = api("POST", f"/incidents/{made.pk}/entries", {"text": "x" * (6 << 20)}, **headers)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")


def test_evidence_is_checked_handed_over_and_withdrawn(province, opened):
    made, api = opened(), Api(province.health)
    first = _added(api, made, b"a")[0]
    here = f"/incidents/{made.pk}/evidence/1"
    assert api("POST", f"{here}/verify").json() == {"intact": True}
    given = api("POST", f"{here}/hand-over", {"to": "A05", "reason": "Giám định"})
    assert (given.status_code, given.json()["to"], given.json()["kind"]) == (201, "A05", "handed_over")
    why = {"version": first["version"], "reason": "Nhầm máy"}
    assert api("POST", f"{here}/withdraw", {**why, "version": 9}).status_code == 409
    gone = api("POST", f"{here}/withdraw", why).json()
    assert (gone["withdrawn_reason"], gone["withdrawn_by"]["id"]) == ("Nhầm máy", province.health.pk)
    assert api("POST", f"{here}/withdraw", {**why, "version": gone["version"]}).status_code == 422
    kinds = [each["kind"] for each in api("GET", here).json()["custody"]]
    assert kinds == ["uploaded", "verified", "handed_over", "withdrawn", "viewed"]
    path = path_of(first["sha256"])
    path.chmod(0o640)
    path.write_bytes(b"x")
    assert api("POST", f"{here}/verify").json() == {"intact": False}


def test_evidence_leaves_as_an_encrypted_archive_once_asked_for(province, opened):
    made, api = opened(), Api(province.health)
    _added(api, made, b"a", b"b")
    here = f"/incidents/{made.pk}/evidence"
    offer = api("POST", f"{here}/package", {"numbers": [2], "reason": "Giám định"})
    assert "no-store" in offer["Cache-Control"]
    told = offer.json()
    assert told["numbers"] == [2]
    answer = api("POST", f"{here}/download", {"token": told["token"]})
    assert answer["Content-Disposition"].startswith("attachment")
    with pyzipper.AESZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        archive.setpassword(told["password"].encode())
        assert archive.read("CC-02.bin") == b"b"
        assert json.loads(archive.read("manifest.json"))["reason"] == "Giám định"
        assert "CC-01.bin" not in archive.namelist()
    kinds = list(Evidence.objects.get(number=2).custody.values_list("kind", flat=True))
    assert kinds == ["uploaded", "downloaded"]
    assert Entry.objects.filter(action="evidence.download", actor=province.health).count() == 1
    assert Api(province.analyst)("POST", f"{here}/download", {"token": told["token"]}).status_code == 422
    assert api("POST", f"{here}/package", {"numbers": [7], "reason": "x"}).status_code == 422


def test_the_password_of_an_archive_is_kept_nowhere(province, opened):
    made, api = opened(), Api(province.health)
    _added(api, made, b"a")
    body, key = {"numbers": [1], "reason": "Giám định"}, {"Idempotency-Key": "gói"}
    first = api("POST", f"/incidents/{made.pk}/evidence/package", body, **key).json()
    second = api("POST", f"/incidents/{made.pk}/evidence/package", body, **key).json()
    assert first["password"] != second["password"]
    assert not IdempotentAnswer.objects.exists()
