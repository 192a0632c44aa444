"""The API: keys and scopes, pages, versions, idempotency, and that it shows no more than the pages."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from console_api import Api
from khien.console.accounts.models import ApiKey
from khien.console.directives.models import Task
from khien.console.directives.tasks import create_task
from khien.console.incidents.models import Incident
from khien.console.incidents.services import open_incident
from khien.console.systems.models import InformationSystem

pytestmark = pytest.mark.django_db


def task(province, unit="so-y-te", by="analyst", **fields):
    fields = {"title": "Vá máy chủ", "due_at": timezone.now() + timedelta(days=3), **fields}
    return create_task(getattr(province, by), unit=province.units[unit], **fields)


def incident(province, unit="so-y-te", by="analyst", **fields):
    return open_incident(getattr(province, by), title="Mã độc", level=3, unit=province.units[unit], **fields)


def test_without_a_key_nothing_is_told(province):
    task(province)
    answer = Client().get("/api/v1/tasks")
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"
    assert answer["WWW-Authenticate"] == "Bearer"
    for wrong in ("khien_x_y", "", "khien_" + "a" * 300):
        assert Client().get("/api/v1/tasks", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401


def test_a_session_is_no_key(province, signed_in):
    assert signed_in(province.analyst).get("/api/v1/tasks").status_code == 401


def test_a_key_opens_its_scopes_only(province):
    api = Api(province.analyst, "tasks:read")
    assert api("GET", "/tasks").status_code == 200
    assert api("GET", "/incidents").status_code == 403
    refused = api("POST", "/tasks", {"title": "x", "unit": 1, "due_at": "2030-01-01T00:00:00Z"})
    assert refused.status_code == 403


def test_a_unit_sees_its_own_tasks_and_those_below(province):
    own, below, beside = task(province), task(province, "benh-vien"), task(province, "xa-mau")
    api = Api(province.health)
    found = api("GET", "/tasks").json()
    assert {each["id"] for each in found["items"]} == {own.pk, below.pk}
    assert api("GET", f"/tasks/{beside.pk}").status_code == 404
    assert api("POST", f"/tasks/{beside.pk}/accept", {}).status_code == 404


def test_pages_follow_one_another_without_gaps(province):
    made = [task(province, title=f"Việc {n}").pk for n in range(7)]
    api, seen, after = Api(province.analyst), [], ""
    while after is not None:
        page = api("GET", f"/tasks?limit=3&after={after}").json()
        assert len(page["items"]) <= 3
        seen += [each["id"] for each in page["items"]]
        after = page["next"]
    assert seen == sorted(made, reverse=True)


def test_what_changed_since_a_time_comes_in_the_order_of_changes(province):
    first, second, third = (task(province, title=f"Việc {n}") for n in range(3))
    for each, minute in ((first, 30), (second, 10), (third, 20)):
        Task.objects.filter(pk=each.pk).update(updated_at=timezone.now() - timedelta(minutes=minute))
    since = (timezone.now() - timedelta(minutes=25)).isoformat().replace("+", "%2B")
    api = Api(province.analyst)
    page = api("GET", f"/tasks?limit=1&updated_since={since}").json()
    following = api("GET", f"/tasks?limit=1&updated_since={since}&after={page['next']}").json()
    assert [page["items"][0]["id"], following["items"][0]["id"]] == [third.pk, second.pk]
    assert following["next"] is None


@pytest.mark.parametrize("cursor", ["x", "W10=", "WzFd!", "WyJhIl0=", "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OV0=", "%00"])
def test_a_cursor_that_is_none_of_ours_is_refused(province, cursor):
    assert Api(province.analyst)("GET", f"/tasks?after={cursor}").status_code == 422


def test_a_unit_takes_a_task_from_sent_to_done(province):
    made = task(province)
    unit, office = Api(province.health), Api(province.analyst)
    accepted = unit("POST", f"/tasks/{made.pk}/accept", {"version": 1}).json()
    assert accepted["state"] == "accepted"
    told = unit("POST", f"/tasks/{made.pk}/report", {"text": "Đang vá", "percent": 40, "version": accepted["version"]})
    assert told.json()["progress"] == 40
    finished = unit("POST", f"/tasks/{made.pk}/finish", {"text": "Xong"}).json()
    assert finished["state"] == "finished"
    assert unit("POST", f"/tasks/{made.pk}/confirm", {}).status_code == 403
    done = office("POST", f"/tasks/{made.pk}/confirm", {}).json()
    assert done["state"] == "done"
    assert done["steps"][0]["kind"] == "created"


def test_who_comes_second_is_told(province):
    made = task(province)
    api = Api(province.health)
    assert api("POST", f"/tasks/{made.pk}/accept", {"version": 1}).status_code == 200
    second = api("POST", f"/tasks/{made.pk}/report", {"text": "x", "percent": 1, "version": 1})
    assert second.status_code == 409
    assert second.json()["code"] == "changed"
    assert second.json()["version"] == 2


def test_what_is_wrong_is_said_where(province):
    answer = Api(province.analyst)("POST", "/tasks", {"title": "", "unit": province.units["so-y-te"].pk})
    assert answer.status_code == 422
    assert {each["where"] for each in answer.json()["detail"]} == {"body.body.title", "body.body.due_at"}


def test_a_request_sent_twice_works_once(province):
    api = Api(province.analyst)
    body = {"title": "Một lần", "unit": province.units["so-y-te"].pk, "due_at": "2030-01-01T00:00:00Z"}
    first = api("POST", "/tasks", body, **{"Idempotency-Key": "k1"})
    again = api("POST", "/tasks", body, **{"Idempotency-Key": "k1"})
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert Task.objects.filter(title="Một lần").count() == 1
    other = api("POST", "/tasks", {**body, "title": "Khác"}, **{"Idempotency-Key": "k1"})
    assert other.status_code == 422
    assert api("POST", "/tasks", body, **{"Idempotency-Key": "k2"}).status_code == 201
    assert Api(province.chair)("POST", "/tasks", body, **{"Idempotency-Key": "k1"}).json() != first.json()


def test_a_revoked_key_gets_no_earlier_answer(province):
    api = Api(province.analyst)
    body = {"title": "Một lần", "unit": province.units["so-y-te"].pk, "due_at": "2030-01-01T00:00:00Z"}
    assert api("POST", "/tasks", body, **{"Idempotency-Key": "k1"}).status_code == 201
    ApiKey.objects.update(revoked_at=timezone.now())
    assert api("POST", "/tasks", body, **{"Idempotency-Key": "k1"}).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_the_same_request_at_the_same_time_works_once(province):
    api = Api(province.analyst)
    body = {"title": "Cùng lúc", "unit": province.units["so-y-te"].pk, "due_at": "2030-01-01T00:00:00Z"}
    statuses = []

    def send():
        from django.db import connection

        statuses.append(api("POST", "/tasks", body, **{"Idempotency-Key": "both"}).status_code)
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert set(statuses) <= {201, 409}
    assert Task.objects.filter(title="Cùng lúc").count() == 1


def test_incidents_are_opened_changed_and_closed(province):
    api = Api(province.analyst)
    opened = api(
        "POST",
        "/incidents",
        {"title": "Tống tiền", "level": 4, "unit": province.units["so-y-te"].pk, "working_class": "malware"},
    )
    assert opened.status_code == 201, opened.content
    made = opened.json()
    changed = api("PATCH", f"/incidents/{made['id']}", {"version": made["version"], "title": "Tống tiền máy chủ"})
    assert changed.json()["title"] == "Tống tiền máy chủ"
    assert changed.json()["level"] == 4
    assert api("POST", f"/incidents/{made['id']}/entries", {"text": "Đã cô lập"}).status_code == 201
    added = api("POST", f"/incidents/{made['id']}/indicators", {"values": ["203.0.113.66", "hxxp://evil[.]example/a"]})
    assert {each["kind"] for each in added.json()} == {"ip", "url"}
    now = api("GET", f"/incidents/{made['id']}").json()
    for clock in now["clocks"]:
        said = {"version": clock["version"], "reason": "Không thuộc diện"}
        assert api("POST", f"/incidents/clocks/{clock['id']}/waive", said).status_code == 200
    now = api("GET", f"/incidents/{made['id']}").json()
    assert api("POST", f"/incidents/{made['id']}/close", {"version": now["version"]}).status_code == 422
    told = {"version": now["version"], "cause": "Thư lừa đảo", "effect": "Hai máy", "lessons": "Tập huấn"}
    assert api("POST", f"/incidents/{made['id']}/close", told).json()["status"] == "closed"


def test_a_sensitive_incident_is_not_there_for_those_not_named(province):
    made = incident(province, tlp="RED", by="analyst")
    made.team.add(province.health)
    assert Api(province.health)("GET", f"/incidents/{made.pk}").status_code == 200
    for other in (province.analyst2, province.hospital, province.commune):
        api = Api(other)
        assert api("GET", f"/incidents/{made.pk}").status_code == 404
        assert api("GET", "/incidents").json()["items"] == []


def test_foreign_incidents_cannot_be_touched(province):
    made = incident(province)
    api = Api(province.commune)
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"version": 1, "title": "x"}),
        ("POST", "/status", {"version": 1, "status": "resolved"}),
        ("POST", "/entries", {"text": "x"}),
        ("POST", "/indicators", {"values": ["203.0.113.66"]}),
        ("GET", "/entries", None),
    ):
        assert api(method, f"/incidents/{made.pk}{path}", body).status_code == 404, path
    assert Incident.objects.get(pk=made.pk).title == "Mã độc"


def test_lists_ask_the_database_a_bounded_number_of_times(province, django_assert_max_num_queries):
    api = Api(province.analyst)
    for number in range(30):
        task(province, incident=incident(province) if number % 2 else None)
    with django_assert_max_num_queries(14):
        assert len(api("GET", "/tasks").json()["items"]) == 30
    with django_assert_max_num_queries(14):
        assert len(api("GET", "/incidents").json()["items"]) == 15


def test_the_description_names_every_operation(client):
    found = client.get("/api/v1/openapi.json").json()
    assert found["openapi"].startswith("3.")
    assert {"/api/v1/tasks", "/api/v1/incidents", "/api/v1/directives"} <= set(found["paths"])
    for path, operations in found["paths"].items():
        for method, each in operations.items():
            assert each["summary"], (path, method)
            assert each["security"], (path, method)


def test_a_task_of_an_incident_is_in_its_timeline_and_none_is_given_after_it_is_merged(province):
    api = Api(province.analyst)
    one, other = incident(province), incident(province)
    asked = {"title": "Cô lập", "unit": province.units["so-y-te"].pk, "due_at": "2031-01-01T10:00:00Z"}
    assert api("POST", "/tasks", {**asked, "incident": one.pk}).status_code == 201
    assert "Cô lập" in str(api("GET", f"/incidents/{one.pk}/entries").json())
    one.refresh_from_db()
    assert api("POST", f"/incidents/{one.pk}/merge", {"version": one.version, "into": other.pk}).status_code == 200
    assert api("POST", "/tasks", {**asked, "incident": one.pk}).status_code == 422


def test_who_gives_a_task_to_another_unit_of_an_incident_is_shown_it_once(province):
    made = incident(province, units=[province.units["xa-mau"]])
    asked = {"title": "Cô lập", "unit": province.units["xa-mau"].pk, "due_at": "2031-01-01T10:00:00Z"}
    answer = Api(province.health)("POST", "/tasks", {**asked, "incident": made.pk})
    assert answer.status_code == 201
    assert answer.json()["unit"]["code"] == "xa-mau"


def test_of_an_incident_a_unit_reads_only_the_systems_it_sees(province):
    systems = [
        InformationSystem.objects.create(code=code, name=code, unit=province.units[code], level=3)
        for code in ("so-y-te", "xa-mau")
    ]
    made = incident(province, units=[province.units["xa-mau"]], systems=systems)
    seen = Api(province.commune)("GET", f"/incidents/{made.pk}").json()["systems"]
    assert [each["code"] for each in seen] == ["xa-mau"]
    assert len(Api(province.analyst)("GET", f"/incidents/{made.pk}").json()["systems"]) == 2
