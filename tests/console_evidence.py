"""What tests of evidence share: uploads, and evidence made of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from khien.console.incidents import evidence as services
from khien.console.incidents.models import Evidence, Incident

XSS = "<script>alert(1)</script>"


@pytest.fixture
def own_folder(tmp_path: Path, settings) -> Path:
    settings.DATA = tmp_path
    return tmp_path / "files"


def upload_of(
    content: bytes = b"line of a log\n", name: str = "auth.log", kind: str = "text/plain"
) -> SimpleUploadedFile:
    upload = SimpleUploadedFile("x", content, kind)
    upload._name = name
    return upload


def add_evidence(by, incident: Incident, *uploads: SimpleUploadedFile, **given) -> list[Evidence]:
    words = {"description": "Nhật ký", "collected_where": "SYT-PC-041", "collected_by": "Lê Mẫu", **given}
    words.setdefault("collected_at", timezone.now() - timedelta(hours=1))
    return [each.evidence for each in services.add_evidence(by, incident.pk, uploads or [upload_of()], **words)]


def kinds(evidence: Evidence) -> list[str]:
    return list(evidence.custody.values_list("kind", flat=True))


def form(**changes) -> dict:
    return {
        "files": [upload_of()],
        "description": "Nhật ký",
        "collected_at": "2026-11-24T09:00",
        "collected_where": "SYT-PC-041",
        "collected_by": "Lê Mẫu",
        **changes,
    }
