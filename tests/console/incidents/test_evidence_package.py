"""Evidence leaves encrypted, for who has a token, and as it came."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile

import pytest
import pyzipper
from django.urls import reverse

from console_evidence import add_evidence, upload_of
from khien.console.audit.models import Entry
from khien.console.files import services as files
from khien.console.incidents import evidence_package
from khien.console.incidents.models import Custody, Incident

pytestmark = pytest.mark.usefixtures("own_folder")


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
    add_evidence(
        province.analyst, incident, upload_of(big, "đĩa.img"), upload_of(b"b", "../../x.html"), upload_of(b"c")
    )
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
    add_evidence(province.analyst, incident)
    add_evidence(province.analyst, other)
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
    evidence = add_evidence(province.analyst, incident)[0]
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
