"""Pages of my work and tasks: every role, both languages, conflicts, hostile text, files, bounded queries."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from khien.console.alerts.models import Alert
from khien.console.directives import checking, handling, issuing
from khien.console.directives.models import Task, TaskState, TaskStepFile
from khien.console.directives.selectors import search_directives, search_tasks, work_of
from khien.console.directives.tasks import create_task

pytestmark = pytest.mark.django_db
HOSTILE = '<img src=x onerror="alert(1)">'


def give(province, unit="so-y-te", title="Rà soát", days=5.0, by="analyst", **fields):
    due = timezone.now() + timedelta(days=days)
    return create_task(province.people[by], unit=province.units[unit], title=title, due_at=due, **fields)


@pytest.fixture
def task(province):
    return give(province, title=f"Rà soát {HOSTILE}", text=f"Làm {HOSTILE}")


def paths(task):
    return ["/work/", "/tasks/", f"/tasks/{task.pk}/", "/tasks/boards/", "/tasks/boards/?by=person"]


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_role_opens_its_pages_and_hostile_text_stays_text(province, signed_in, task, language):
    for who, user in province.people.items():
        for path in paths(task):
            answer = signed_in(user, language).get(path)
            sees = Task.objects.visible_to(user).exists()
            assert answer.status_code == (404 if path == f"/tasks/{task.pk}/" and not sees else 200), (who, path)
            assert HOSTILE not in answer.content.decode()


def test_a_stranger_signs_in_first(task):
    for path in paths(task):
        assert Client().get(path)["Location"].startswith("/account/login"), path
    assert Client().post(f"/tasks/{task.pk}/accept/")["Location"].startswith("/account/login")


def test_a_foreign_unit_finds_no_task_nor_its_steps_and_files(province, signed_in, task):
    handling.accept(province.health, task.pk, 1)
    handling.report(province.health, task.pk, 2, text="x", percent=10, files=[SimpleUploadedFile("a.txt", b"secret")])
    file = TaskStepFile.objects.get()
    client = signed_in(province.commune)
    assert client.get(f"/tasks/{task.pk}/files/{file.pk}/").status_code == 404
    for action in ("report", "finish", "assign", "more-time", "take-back", "confirm", "grant", "cancel", "due"):
        assert client.post(f"/tasks/{task.pk}/{action}/", {"version": 3}).status_code == 404, action
    other = give(province, "xa-mau")
    assert client.get(f"/tasks/{other.pk}/files/{file.pk}/").status_code == 404
    answer = signed_in(province.analyst).get(f"/tasks/{task.pk}/files/{file.pk}/")
    assert b"".join(answer.streaming_content) == b"secret"
    assert answer["Content-Disposition"].startswith("attachment")


def test_who_sees_a_task_without_a_say_gets_403(province, signed_in, task):
    assert signed_in(province.admin).post(f"/tasks/{task.pk}/accept/", {"version": 1}).status_code == 403
    assert (
        signed_in(province.auditor).post(f"/tasks/{task.pk}/cancel/", {"version": 1, "reason": "x"}).status_code == 403
    )


def test_a_task_is_worked_off_by_the_pages(province, signed_in, task):
    unit, office = signed_in(province.health), signed_in(province.analyst)
    url = f"/tasks/{task.pk}"
    unit.post(f"{url}/accept/", {"version": 1})
    unit.post(f"{url}/assign/", {"version": 2, "assignee": province.health.pk})
    upload = SimpleUploadedFile("kq.txt", b"ok")
    unit.post(f"{url}/report/", {"version": 3, "percent": 30, "text": "Đang làm", "files": [upload]})
    unit.post(f"{url}/more-time/", {"version": 4, "until": "2099-01-01T08:00", "reason": "Thiếu người"})
    office.post(f"{url}/grant/", {"version": 5, "until": "2099-01-01T08:00"})
    unit.post(f"{url}/finish/", {"version": 6, "text": "Xong"})
    office.post(f"{url}/send-back/", {"version": 7, "reason": "Chưa đủ"})
    unit.post(f"{url}/finish/", {"version": 8, "text": "Xong hẳn"})
    answer = office.post(f"{url}/confirm/", {"version": 9}, follow=True)
    task.refresh_from_db()
    assert task.state == TaskState.DONE
    text = answer.content.decode()
    assert all(words in text for words in ("Đang làm", "kq.txt", "Thiếu người", "Chưa đủ", "Xong hẳn", "Done."))


def test_what_was_written_comes_back_when_somebody_was_faster(province, signed_in, task):
    handling.accept(province.health, task.pk, 1)
    handling.report(province.health, task.pk, 2, text="Người khác", percent=10)
    client = signed_in(province.health)
    answer = client.post(f"/tasks/{task.pk}/report/", {"version": 2, "percent": 20, "text": "Của tôi"})
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "Của tôi" in text
    assert "Người khác" in text
    assert "Somebody else has changed this" in text
    assert 'name="version" value="3"' in text


def test_wrong_input_is_told_beside_its_field_and_kept(province, signed_in, task):
    handling.accept(province.health, task.pk, 1)
    client = signed_in(province.health)
    answer = client.post(f"/tasks/{task.pk}/report/", {"version": 2, "percent": 120, "text": "Dòng của tôi"})
    assert answer.status_code == 400
    assert "Dòng của tôi" in answer.content.decode()
    answer = client.post(f"/tasks/{task.pk}/more-time/", {"version": 2, "until": "2020-01-01T00:00", "reason": "x"})
    assert answer.status_code == 400
    empty = SimpleUploadedFile("rỗng.txt", b"")
    answer = client.post(f"/tasks/{task.pk}/finish/", {"version": 2, "text": "Xong", "files": [empty]})
    assert answer.status_code == 400
    task.refresh_from_db()
    assert task.version == 2


def test_the_columns_of_my_work(province):
    now = timezone.now()
    late, week, later = (give(province, title=str(days), days=days) for days in (-1, 3, 30))
    below = give(province, "benh-vien", title="dưới")
    give(province, "xa-mau", title="lạ")
    work = work_of(province.health, now=now)
    assert work.whose == "unit"
    assert [column.tasks for column in work.columns] == [[late], [week, below], [later]]
    handling.assign(province.health, later.pk, 1, province.health)
    work = work_of(province.health, now=now)
    assert (work.whose, work.mine, work.unit) == ("mine", 1, 4)
    assert [column.tasks for column in work.columns] == [[], [], [later]]
    handling.finish(province.health, later.pk, 2, text="Xong")
    handling.ask_more_time(province.health, week.pk, 1, until=now + timedelta(days=9), reason="x")
    assert work_of(province.analyst).checks.tasks == [week, later]
    assert work_of(province.health).checks.count == 0


def test_a_card_accepts_at_once_and_can_be_undone(province, signed_in, task):
    client = signed_in(province.health)
    assert f'hx-post="/tasks/{task.pk}/accept/"' in client.get("/work/").content.decode()
    sent = {"version": 1, "from": "work", "whose": "unit"}
    answer = client.post(f"/tasks/{task.pk}/accept/", sent, headers={"HX-Request": "true"})
    text = answer.content.decode()
    assert text.startswith(("{#", "<div", "\n<div"))
    assert "data-toast" in text
    assert f"/tasks/{task.pk}/take-back/" in text
    conflict = client.post(f"/tasks/{task.pk}/accept/", sent, headers={"HX-Request": "true"})
    assert conflict.status_code in (400, 409)
    assert "note-error" in conflict.content.decode()
    client.post(f"/tasks/{task.pk}/take-back/", {**sent, "version": 2}, headers={"HX-Request": "true"})
    task.refresh_from_db()
    assert task.state == TaskState.SENT


def test_many_tasks_are_accepted_and_handed_on_from_the_list(province, signed_in):
    mine = [give(province, title=str(n)) for n in range(3)]
    other = give(province, "xa-mau")
    client = signed_in(province.health)
    ticked = [task.pk for task in (*mine, other)]
    answer = client.post("/tasks/bulk/", {"do": "accept", "task": ticked, "next": "/tasks/?state=sent"})
    assert answer["Location"] == "/tasks/?state=sent"
    assert Task.objects.filter(state=TaskState.ACCEPTED).count() == 3
    client.post("/tasks/bulk/", {"do": "assign", "task": ticked, "assignee": province.health.pk})
    assert Task.objects.filter(assignee=province.health).count() == 3
    answer = client.post("/tasks/bulk/", {"do": "assign", "task": ticked, "assignee": province.commune.pk})
    assert answer.status_code == 404
    assert client.post("/tasks/bulk/", {"do": "accept", "next": "https://evil.example/"})["Location"] == "/tasks/"


def test_the_list_is_filtered_sorted_and_puts_the_overdue_first(province, signed_in):
    a = give(province, title="a", days=9)
    b = give(province, title="b", days=-2)
    c = give(province, "xa-mau", title="c", days=3)
    done = give(province, title="d", days=1)
    checking.cancel(province.analyst, done.pk, 1, reason="x")
    client = signed_in(province.analyst)
    listed = lambda query: [task.title for task in client.get(f"/tasks/?{query}").context["page"]]  # noqa: E731
    assert listed("") == ["b", "c", "a", "d"]
    assert listed("sort=-title") == ["b", "c", "a", "d"]
    assert listed("sort=title") == ["b", "a", "c", "d"]
    assert listed(f"unit={province.units['xa-mau'].pk}") == ["c"]
    assert listed("state=overdue") == ["b"]
    assert listed("state=cancelled") == ["d"]
    assert listed("state=open&q=a") == ["a"]
    assert listed("origin=directive") == []
    assert len(listed("origin=other")) == 4
    handling.assign(province.health, a.pk, 1, province.health)
    assert listed(f"person={province.health.pk}") == ["a"]
    assert listed("person=none&state=open") == ["b", "c"]
    assert listed("person=me") == []
    day = f"{timezone.localtime(c.due_at):%Y-%m-%d}"
    assert listed(f"due_from={day}&due_to={day}") == ["c"]
    handling.ask_more_time(province.health, b.pk, 1, until=timezone.now() + timedelta(days=1), reason="x")
    assert listed("waiting=1") == ["b"]
    assert len(listed("state=nonsense&unit=x&due_from=2026-99-99&sort=;drop&page=zzz")) == 4


def test_lists_and_boards_are_saved_with_what_one_sees(province, signed_in):
    give(province, title="của y tế")
    give(province, "xa-mau", title="của xã")
    answer = signed_in(province.health).get("/tasks/?export=csv")
    text = b"".join(answer.streaming_content).decode()
    assert "của y tế" in text
    assert "của xã" not in text
    assert b"Xa" not in b"".join(signed_in(province.health).get("/tasks/boards/?export=csv").streaming_content)


def test_boards_count_by_state_the_overdue_in_no_other(province, signed_in):
    give(province, title="a", days=-1)
    give(province, title="b")
    task = give(province, "xa-mau", title="c")
    handling.assign(province.commune, task.pk, 1, province.commune)
    client = signed_in(province.chair)
    context = client.get("/tasks/boards/").context
    assert {key: context["counts"][key] for key in ("overdue", "sent", "accepted", "all")} == {
        "overdue": 1,
        "sent": 1,
        "accepted": 1,
        "all": 3,
    }
    rows = [(row["name"], row["overdue"], row["sent"], row["accepted"]) for row in context["page"]]
    assert rows == [("Sở Y tế (mẫu)", 1, 1, 0), ("Xã Mẫu", 0, 0, 1)]
    people = client.get("/tasks/boards/?by=person").context["page"]
    assert [(row["name"], row["all"]) for row in people] == [("", 2), ("Người mẫu commune", 1)]
    seen = signed_in(province.commune).get("/tasks/boards/").context["page"]
    assert [row["name"] for row in seen] == ["Xã Mẫu"]


def test_a_task_is_given_by_the_page(province, signed_in):
    data = {"title": "Mới", "unit": province.units["xa-mau"].pk, "due_at": "2099-01-31T17:00"}
    assert signed_in(province.analyst).post("/tasks/new/", data).status_code == 302
    assert Task.objects.get().title == "Mới"
    assert signed_in(province.health).get("/tasks/new/").status_code == 403
    assert signed_in(province.health).post("/tasks/new/", data).status_code == 403
    assert signed_in(province.analyst).post("/tasks/new/", {**data, "unit": 999999}).status_code == 200


def test_search_finds_what_one_sees(province):
    give(province, title="Vá máy chủ thư")
    assert [task.title for task in search_tasks(province.health, "máy chủ")] == ["Vá máy chủ thư"]
    assert not search_tasks(province.commune, "máy chủ")
    assert not search_directives(province.commune, "12/CĐ")


def test_ten_times_the_rows_take_no_more_queries(province, signed_in, django_assert_max_num_queries):
    clients = {who: signed_in(province.people[who]) for who in ("health", "analyst")}
    urls = ("/work/?whose=unit", "/tasks/", "/tasks/boards/", "/tasks/boards/?by=person")

    def grow(times):
        for n in range(times):
            task = give(province, title=str(n), days=n % 12 - 2)
            handling.assign(province.health, task.pk, 1, province.health)
            other = give(province, "benh-vien", title=str(n), days=n % 12 - 2)
            handling.accept(province.hospital, other.pk, 1)
            handling.finish(province.hospital, other.pk, 2, text="x")

    grow(4)
    bounds = {}
    for who, client in clients.items():
        for url in urls:
            client.get(url)
            with django_assert_max_num_queries(40) as seen:
                client.get(url)
            bounds[who, url] = len(seen)
    task = give(province)
    handling.accept(province.health, task.pk, 1)
    page = f"/tasks/{task.pk}/"
    clients["health"].get(page)
    with django_assert_max_num_queries(40) as seen:
        clients["health"].get(page)
    one = len(seen)
    grow(40)
    for n in range(20):
        files = [SimpleUploadedFile(f"{n}.txt", b"x")]
        handling.report(province.health, task.pk, None, text="x", percent=n, files=files)
    for (who, url), bound in bounds.items():
        with django_assert_max_num_queries(bound):
            clients[who].get(url)
    with django_assert_max_num_queries(one + 1):  # the files of steps
        clients["health"].get(page)


def test_what_waits_for_a_signature_and_alerts_of_mine_are_counted(province, signed_in):
    due = timezone.now() + timedelta(days=3)
    issuing.draft(province.analyst, title="x", text="x", due_at=due, units={province.units["xa-mau"]: None})
    Alert.objects.create(key="a", rule_id="r", title="x", level=3, owner=province.analyst, first_at=due, last_at=due)
    assert "1 directive to sign" in signed_in(province.chair).get("/work/").content.decode()
    text = signed_in(province.analyst).get("/work/").content.decode()
    assert "to sign" not in text
    assert "1 alert of mine" in text


def test_a_task_is_not_given_for_a_time_that_has_passed(province, signed_in):
    data = {"title": "Mới", "unit": province.units["xa-mau"].pk, "due_at": "2020-01-31T17:00"}
    answer = signed_in(province.analyst).post("/tasks/new/", data)
    assert "The due time has passed already." in answer.content.decode()
    assert not Task.objects.exists()
