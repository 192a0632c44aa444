"""Tasks through the API: files with reports, taking back, many at once, my work and boards."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from console_api import Api
from khien.console.audit.models import Entry
from khien.console.directives import handling
from khien.console.directives.models import Task, TaskState, TaskStepFile
from khien.console.directives.tasks import create_task
from khien.console.incidents.merging import merge
from khien.console.incidents.models import Incident
from khien.console.incidents.services import open_incident
from khien.console.units.models import Unit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folder(tmp_path, settings):
    settings.DATA = tmp_path


def task(province, unit="so-y-te", **fields):
    fields = {"title": "Vá máy chủ", "due_at": timezone.now() + timedelta(days=3), **fields}
    return create_task(province.analyst, unit=province.units[unit], **fields)


def upload(name="nhật ký.txt", body=b"<script>"):
    return SimpleUploadedFile(name, body, "text/html")


def test_a_report_comes_with_files_that_those_who_see_the_task_can_save(province):
    made = task(province)
    unit, office = Api(province.health), Api(province.analyst)
    unit("POST", f"/tasks/{made.pk}/accept", {})
    fields = {"text": "Đang vá", "percent": 40, "version": 2, "files": [upload(), upload("hai.bin", b"\x00")]}
    answer = unit.form(f"/tasks/{made.pk}/report-with-files", fields)
    assert answer.status_code == 200, answer.content
    step = answer.json()["steps"][-1]
    assert (step["kind"], [each["name"] for each in step["files"]]) == ("progress", ["nhật ký.txt", "hai.bin"])
    file = f"/tasks/{made.pk}/files/{step['files'][0]['id']}"
    got = office("GET", file)
    assert b"".join(got.streaming_content) == b"<script>"
    assert (got["Content-Type"], got["Content-Disposition"][:10]) == ("application/octet-stream", "attachment")
    assert Entry.objects.filter(action="task.file", actor=province.analyst).exists()
    assert Api(province.commune)("GET", file).status_code == 404
    other = task(province)
    assert office("GET", f"/tasks/{other.pk}/files/{step['files'][0]['id']}").status_code == 404
    stale = unit.form(f"/tasks/{made.pk}/finish-with-files", {"text": "Xong", "version": 2, "files": [upload()]})
    assert stale.status_code == 409
    done = unit.form(f"/tasks/{made.pk}/finish-with-files", {"text": "Xong", "files": [upload()]})
    assert done.json()["state"] == "finished"


@pytest.mark.parametrize(
    "wrong", [{"percent": 101}, {"text": ""}, {"text": "a\0b"}, {"files": [SimpleUploadedFile("a.txt", b"")]}]
)
def test_a_report_that_makes_no_sense_leaves_nothing(province, wrong):
    made = task(province)
    handling.accept(province.health, made.pk, None)
    fields = {"text": "Đang vá", "percent": 40, "files": [upload()], **wrong}
    assert Api(province.health).form(f"/tasks/{made.pk}/report-with-files", fields).status_code == 422
    assert Task.objects.get(pk=made.pk).progress == 0
    assert not TaskStepFile.objects.exists()


def test_a_report_with_files_sent_twice_is_written_once(province):
    made = task(province)
    handling.accept(province.health, made.pk, None)
    api = Api(province.health)
    answers = [
        api.form(
            f"/tasks/{made.pk}/report-with-files",
            {"text": "Đang vá", "percent": 40, "files": [upload()]},
            **{"Idempotency-Key": "k1"},
        )
        for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert TaskStepFile.objects.count() == 1


def test_ones_own_last_step_is_taken_back(province):
    made = task(province)
    unit = Api(province.health)
    unit("POST", f"/tasks/{made.pk}/accept", {})
    assert Api(province.analyst)("POST", f"/tasks/{made.pk}/take-back", {}).status_code == 422
    assert unit("POST", f"/tasks/{made.pk}/take-back", {"version": 1}).status_code == 409
    assert unit("POST", f"/tasks/{made.pk}/take-back", {"version": 2}).json()["state"] == "sent"


def test_many_are_accepted_and_handed_on_at_once_and_foreign_ones_left_alone(province):
    own, below, foreign = task(province), task(province, "benh-vien"), task(province, "xa-mau")
    unit = Api(province.health)
    ids = [own.pk, below.pk, foreign.pk]
    assert unit("POST", "/tasks/accept", {"tasks": ids}).json() == {"count": 2}
    assert Task.objects.get(pk=foreign.pk).state == TaskState.SENT
    people = {each["id"] for each in unit("GET", f"/tasks/{own.pk}/people").json()}
    assert province.health.pk in people
    assert province.commune.pk not in people
    assert unit("POST", "/tasks/assign", {"tasks": ids, "assignee": province.commune.pk}).status_code == 404
    handed = unit("POST", "/tasks/assign", {"tasks": [own.pk, foreign.pk], "assignee": province.health.pk})
    assert handed.json() == {"count": 1}
    assert Task.objects.get(pk=own.pk).assignee == province.health


def test_the_people_of_a_unit_are_told_to_who_works_on_its_task(province):
    made = task(province)
    assert Api(province.health)("GET", f"/tasks/{made.pk}/people").status_code == 200
    assert Api(province.analyst)("GET", f"/tasks/{made.pk}/people").status_code == 403


def test_a_task_of_an_incident_goes_to_a_unit_that_is_seen_or_affected(province):
    told = {"title": "Vá máy chủ", "level": 2, "unit": province.units["so-y-te"], "working_class": "malware"}
    incident = open_incident(province.analyst, **told, units=[province.units["xa-mau"]])
    unseen = Unit.objects.create(code="xa-xa", name="Xã Xa", kind=province.units["xa-mau"].kind, path="99.")
    api = Api(province.health)
    body = {"title": "Rà soát", "due_at": "2031-01-01T00:00:00Z", "incident": incident.pk}
    for unit, status in ((unseen.pk, 404), (unseen.pk + 1, 404), (province.units["xa-mau"].pk, 201)):
        assert api("POST", "/tasks", {**body, "unit": unit}).status_code == status


def test_a_task_s_history_names_no_incident_out_of_sight(province):
    told = {"title": "Mã độc", "level": 2, "unit": province.units["so-y-te"], "working_class": "malware"}
    first, second = (open_incident(province.analyst, **told) for _ in range(2))
    made = task(province, incident=first)
    merge(province.analyst, first.pk, 1, second.pk)
    for tlp, known in (("AMBER", {"was": first.pk, "now": second.pk}), ("RED", {"was": first.pk})):
        Incident.objects.filter(pk=second.pk).update(tlp=tlp)
        steps = Api(province.health)("GET", f"/tasks/{made.pk}").json()["steps"]
        assert [each["data"] for each in steps if each["kind"] == "moved"] == [known]


def test_who_hands_a_task_away_that_was_seen_only_as_its_person_is_shown_it_once(province):
    made = task(province)
    Task.objects.filter(pk=made.pk).update(assignee=province.hospital)
    answer = Api(province.hospital)("POST", f"/tasks/{made.pk}/assign", {"assignee": None})
    assert answer.status_code == 200, answer.content
    assert answer.json()["assignee"] is None
    assert Api(province.hospital)("GET", f"/tasks/{made.pk}").status_code == 404


def test_my_work_holds_what_is_owed_and_what_waits_for_a_check(province):
    late, soon = task(province), task(province)
    Task.objects.filter(pk=late.pk).update(due_at=timezone.now() - timedelta(days=1))
    task(province, "xa-mau")
    found = Api(province.health)("GET", "/tasks/work").json()
    columns = {each["name"]: [one["id"] for one in each["tasks"]] for each in found["columns"]}
    assert columns == {"overdue": [late.pk], "week": [soon.pk], "later": []}
    handling.accept(province.health, soon.pk, None)
    handling.finish(province.health, soon.pk, None, text="Xong")
    office = Api(province.analyst)
    assert [each["id"] for each in office("GET", "/tasks/work").json()["checks"]["tasks"]] == [soon.pk]
    assert [each["id"] for each in office("GET", "/tasks?waiting=1").json()["items"]] == [soon.pk]


def test_boards_count_what_one_sees(province):
    task(province), task(province), task(province, "xa-mau")
    lines = Api(province.health)("GET", "/tasks/boards?by=unit").json()
    assert [(each["key"], each["sent"]) for each in lines] == [(province.units["so-y-te"].pk, 2)]
    assert len(Api(province.analyst)("GET", "/tasks/boards?by=unit").json()) == 2
    assert Api(province.health)("GET", "/tasks/boards?by=nonsense").status_code == 422
    assert Api(province.health)("GET", "/tasks/boards?session=99").status_code == 404
