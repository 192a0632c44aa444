"""Evidence is kept as it came, and every step with it is written down."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import ProtectedError
from django.utils import timezone

from console_evidence import add_evidence, kinds, upload_of
from khien.console.audit.models import Entry
from khien.console.concurrency import Changed
from khien.console.files import services as files
from khien.console.files.models import StoredFile
from khien.console.incidents import evidence as services
from khien.console.incidents import merging
from khien.console.incidents.evidence_models import Immutable
from khien.console.incidents.models import Custody, Evidence, Handling, Incident, Tlp
from khien.console.notifications.models import Notice

pytestmark = pytest.mark.usefixtures("own_folder")


def test_evidence_is_hashed_numbered_and_its_custody_begins(province, opened):
    incident = opened()
    first, second = add_evidence(province.analyst, incident, upload_of(b"a"), upload_of(b"b"))
    third = add_evidence(province.analyst, incident, upload_of(b"c"))[0]
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
            add_evidence(province.analyst, incident, **given)
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
        add_evidence(province.analyst, incident, *[upload_of()] * 21)
    with pytest.raises(ValidationError):
        add_evidence(province.analyst, incident, upload_of(b"ok"), upload_of(b""))
    assert not Evidence.objects.exists()


def test_the_same_content_is_told_and_kept(province, opened):
    here, there = opened(), opened()
    first = add_evidence(province.analyst, here)[0]
    again = services.add_evidence(
        province.analyst,
        there.pk,
        [upload_of(name="copy.log")],
        description="x",
        collected_at=timezone.now(),
        collected_where="y",
        collected_by="z",
    )
    assert again[0].twins == [first]


def test_the_same_content_in_an_incident_one_may_not_see_is_not_told(province, opened):
    secret = opened()
    add_evidence(province.analyst, secret)
    Incident.objects.filter(pk=secret.pk).update(tlp=Tlp.RED)
    mine = opened(by=province.analyst2)
    added = add_evidence(province.analyst2, mine)[0]
    assert services.twins_of(province.analyst2, added) == []


def test_nothing_of_it_can_be_changed_or_deleted(province, opened):
    evidence = add_evidence(province.analyst, opened())[0]
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
    evidence = add_evidence(province.analyst, opened())[0]
    now = timezone.now()
    for minutes in (0, 1, 5):
        services.view_evidence(province.analyst2, evidence, now + timedelta(minutes=minutes))
    assert kinds(evidence) == ["uploaded", "viewed"]
    services.view_evidence(province.analyst2, evidence, now + timedelta(minutes=11))
    services.view_evidence(province.chair, evidence, now + timedelta(minutes=12))
    assert kinds(evidence) == ["uploaded", "viewed", "viewed", "viewed"]
    assert Entry.objects.filter(action="evidence.view").count() == 3


def test_verification_finds_changed_bytes_and_tells_the_team(province, opened):
    incident = opened()
    evidence = add_evidence(province.analyst, incident)[0]
    assert services.verify_evidence(province.analyst2, evidence.pk)
    path = files.path_of(evidence.file.sha256)
    path.chmod(0o640)
    path.write_bytes(b"line of a lag\n")
    assert not services.verify_evidence(province.analyst2, evidence.pk)
    assert list(evidence.custody.filter(kind="verified").values_list("intact", flat=True)) == [True, False]
    assert Notice.objects.filter(kind="evidence.broken", urgent=True).exists()
    assert "SHA-256" in incident.entries.last().shown


def test_handing_over_names_the_receiver_and_the_reason(province, opened):
    evidence = add_evidence(province.analyst, opened())[0]
    with pytest.raises(ValidationError):
        services.hand_over(province.analyst, evidence.pk, to="Công an tỉnh", reason=" ")
    services.hand_over(province.analyst, evidence.pk, to="Công an tỉnh", reason="Giám định")
    entry = evidence.custody.last()
    assert (entry.kind, entry.to, entry.reason) == ("handed_over", "Công an tỉnh", "Giám định")


def test_withdrawn_evidence_stays_with_its_reason(province, opened):
    evidence = add_evidence(province.analyst, opened())[0]
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
    evidence = add_evidence(province.analyst, incident)[0]
    with pytest.raises(PermissionDenied):
        services.withdraw_evidence(province.health, evidence.pk, 1, reason="x")
    services.withdraw_evidence(province.analyst2, evidence.pk, 1, reason="x")


def test_evidence_goes_with_its_incident_when_that_is_merged(province, opened):
    source, target = opened(), opened()
    add_evidence(province.analyst, target, upload_of(b"1"))
    moved = add_evidence(province.analyst, source, upload_of(b"2"))[0]
    merging.merge(province.analyst, source.pk, source.version, target.pk)
    moved.refresh_from_db()
    assert (moved.incident, moved.label) == (target, "CC-02")
    assert moved.custody.last().reason == f"{source.number} CC-01"
    with pytest.raises(ValidationError):
        add_evidence(province.analyst, source, upload_of(b"3"))


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
        add_evidence(province.analyst, source, upload_of(b"before"), late)
    assert [path for path in own_folder.rglob("*") if path.is_file()] == []
    assert not StoredFile.objects.exists()


def test_one_wrong_file_among_several_leaves_nothing_of_the_others(province, opened, own_folder):
    with pytest.raises(ValidationError, match="empty"):
        add_evidence(province.analyst, opened(), upload_of(b"good"), upload_of(b""))
    assert [path for path in own_folder.rglob("*") if path.is_file()] == []
    assert not StoredFile.objects.exists()


def test_what_lies_there_already_stays_when_an_upload_is_refused(province, opened):
    source, target = opened(), opened()
    kept = add_evidence(province.analyst, target, upload_of(b"same"))[0]
    late = _Meanwhile(b"same", lambda: merging.merge(province.analyst, source.pk, source.version, target.pk))
    with pytest.raises(ValidationError, match="merged"):
        add_evidence(province.analyst, source, late)
    assert files.is_intact(kept.file)


def test_roles_and_units_bound_who_may_do_what(province, opened):
    incident = opened(by=province.health, unit="so-y-te")
    evidence = add_evidence(province.health, incident)[0]
    for stranger in (province.commune, province.hospital):
        assert not Evidence.objects.visible_to(stranger).exists()
        for call in (
            lambda who: add_evidence(who, incident),
            lambda who: services.verify_evidence(who, evidence.pk),
            lambda who: services.hand_over(who, evidence.pk, to="x", reason="y"),
            lambda who: services.withdraw_evidence(who, evidence.pk, 1, reason="y"),
        ):
            with pytest.raises((Incident.DoesNotExist, Evidence.DoesNotExist)):
                call(stranger)
    for unfit in (province.press, province.auditor, province.admin, province.chair):
        with pytest.raises(PermissionDenied):
            add_evidence(unfit, incident)
    assert kinds(evidence) == ["uploaded"]
