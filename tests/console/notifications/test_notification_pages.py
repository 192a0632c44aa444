"""The pages of notices, preferences and mails."""

import pytest
from django.test import Client
from django.urls import reverse

from khien.console.audit.models import Entry
from khien.console.notifications import outbox
from khien.console.notifications.models import Mail, MailState, Notice, Preferences
from khien.console.notifications.services import notify

pytestmark = pytest.mark.django_db
LIST = "/notifications/"
PAGES = (
    LIST,
    "/notifications/preferences",
    "/notifications/deliveries",
    "/notifications/latest",
    "/notifications/count",
)


def _tell(person, count: int = 1, kind: str = "task.new", url: str = "/work") -> None:
    for number in range(count):
        notify([person], kind, "Task %(title)s", {"title": f"<b>number {number}</b>"}, url=url)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", ["vi", "en"])
def test_each_page_shows_in_both_languages_empty_and_full(province, signed_in, page, language):
    client = signed_in(province.health, language)
    assert client.get(page).status_code == 200
    _tell(province.health, 60)
    outbox.post("health@example.vn", "<i>subject</i>", "text")
    answer = client.get(page)
    assert answer.status_code == 200
    assert "<b>number" not in answer.content.decode()
    assert "<i>subject" not in answer.content.decode()


@pytest.mark.parametrize("page", PAGES)
def test_strangers_are_sent_to_sign_in(page, db):
    assert Client().get(page).status_code == 302


def test_the_bell_counts_to_a_hundred(province, signed_in):
    client = signed_in(province.health)
    assert client.get("/notifications/count").json() == {
        "unread": 0,
        "most": 100,
        "label": "Notifications: nothing new",
    }
    _tell(province.health, 3)
    assert client.get("/notifications/count").json()["label"] == "Notifications: 3 new"
    _tell(province.health, 120)
    assert client.get("/notifications/count").json()["label"] == "Notifications: 99+ new"
    assert client.get("/notifications/count")["Cache-Control"].startswith("max-age=0")


def test_a_bell_that_asks_by_itself_keeps_no_session_alive(province, signed_in):
    client = signed_in(province.analyst)
    client.get("/notifications/count")
    session = client.session
    session["seen"] -= 3500
    session.save()
    client.get("/notifications/count")
    assert client.session["seen"] == session["seen"]
    session["seen"] -= 200
    session.save()
    assert client.get("/notifications/count").status_code == 302


def test_opening_a_notice_marks_it_read_and_leads_on_but_never_elsewhere(province, signed_in):
    client = signed_in(province.health)
    _tell(province.health)
    _tell(province.health, url="https://evil.example/")
    evil, good = Notice.objects.all()
    assert client.get(reverse("notifications:open", args=[good.pk]))["Location"] == "/work"
    assert client.get(reverse("notifications:open", args=[evil.pk]))["Location"] == LIST
    assert not Notice.objects.filter(read_at=None).exists()


def test_a_notice_of_somebody_else_is_not_there(province, signed_in):
    _tell(province.commune)
    notice = Notice.objects.get()
    client = signed_in(province.health)
    assert client.get(reverse("notifications:open", args=[notice.pk])).status_code == 404
    assert client.post(reverse("notifications:read", args=[notice.pk])).status_code == 404
    client.post(reverse("notifications:read_all"))
    notice.refresh_from_db()
    assert notice.read_at is None


def test_read_and_new_again_and_all_read(province, signed_in):
    client = signed_in(province.health)
    _tell(province.health, 3)
    notice = Notice.objects.first()
    client.post(reverse("notifications:read", args=[notice.pk]))
    assert client.get(LIST, {"unread": "1"}).content.decode().count('class="notice is-new"') == 2
    client.post(reverse("notifications:read", args=[notice.pk]), {"read": "0"})
    answer = client.post(reverse("notifications:read_all"), {"newest": str(notice.pk)}, follow=True)
    assert "3 notices were marked as read." in answer.content.decode()
    assert client.get(reverse("notifications:read_all")).status_code == 405


def test_the_list_by_family(province, signed_in):
    client = signed_in(province.health)
    _tell(province.health, 2, "task.new")
    _tell(province.health, 1, "alert.new")
    assert client.get(LIST, {"family": "task"}).content.decode().count('class="notice is-new"') == 2
    assert client.get(LIST, {"family": "alert"}).content.decode().count('class="notice is-new"') == 1
    assert "Nothing to read here" in client.get(LIST, {"family": "clock"}).content.decode()
    assert client.get(LIST, {"family": "'--"}).status_code == 200
    assert client.get(LIST, {"page": "999"}).status_code == 200


def test_preferences_are_kept_and_a_half_quiet_time_is_refused(province, signed_in):
    client = signed_in(province.health)
    page = client.get("/notifications/preferences")
    data = {name: field.value() for name, field in ((each.name, each) for each in page.context["form"])}
    data = {name: value for name, value in data.items() if value not in (False, None, "")}
    data.pop("console_alert")
    data["mail_alert"] = "none"
    answer = client.post("/notifications/preferences", {**data, "quiet_from": "22:00"})
    assert answer.status_code == 422
    assert "Quiet hours need a beginning and an end" in answer.content.decode()
    assert client.post("/notifications/preferences", {**data, "mail_task": "hack"}).status_code == 422
    answer = client.post("/notifications/preferences", {**data, "quiet_from": "22:00", "quiet_until": "06:00"})
    assert answer.status_code == 302
    kept = Preferences.objects.get(user=province.health)
    assert kept.choices["alert"] == {"console": False, "mail": "none"}
    assert kept.choices["task"] == {"console": True, "mail": "once"}
    entry = Entry.objects.get(action="preferences.change")
    assert (entry.actor, entry.before, entry.after["quiet_from"]) == (province.health, None, "22:00:00")
    assert 'value="22:00"' in client.get("/notifications/preferences").content.decode()


def test_the_delivery_log_shows_ones_own_and_to_the_administrator_all(province, signed_in):
    outbox.post("health@example.vn", "for health", "text")
    outbox.post("commune@example.vn", "for the commune", "text")
    outbox.post("outside@example.org", "for outside", "text")
    own = signed_in(province.health).get("/notifications/deliveries").content.decode()
    assert "for health" in own
    assert "for the commune" not in own
    assert "for outside" not in own
    every = signed_in(province.admin).get("/notifications/deliveries").content.decode()
    assert all(each in every for each in ("for health", "for the commune", "for outside"))
    found = signed_in(province.admin).get("/notifications/deliveries", {"q": "commune"}).content.decode()
    assert "for health" not in found


def test_an_administrator_of_a_unit_sees_mails_to_its_people_only(province, signed_in):
    province.hospital.role = "administrator"
    province.hospital.save()
    outbox.post("health@example.vn", "for health", "text")
    outbox.post("hospital@example.vn", "for the hospital", "text")
    page = signed_in(province.hospital).get("/notifications/deliveries").content.decode()
    assert "for the hospital" in page
    assert "for health" not in page


def test_a_failed_mail_is_sent_again_by_an_administrator_only(province, signed_in):
    mail = outbox.post("health@example.vn", "subject", "text")
    Mail.objects.update(state=MailState.FAILED, tries=9, error="550 no")
    url = reverse("notifications:again", args=[mail.pk])
    assert signed_in(province.health).post(url).status_code == 403
    assert "Send again" not in signed_in(province.health).get("/notifications/deliveries").content.decode()
    assert "Send again" in signed_in(province.admin).get("/notifications/deliveries").content.decode()
    assert signed_in(province.admin).post(url).status_code == 302
    mail.refresh_from_db()
    assert mail.state == MailState.WAITING
    assert Entry.objects.filter(action="mail.retry", actor=province.admin).count() == 1


@pytest.mark.parametrize("page", PAGES)
def test_pages_make_few_queries_whatever_there_is(province, signed_in, page, django_assert_max_num_queries):
    client = signed_in(province.health)
    _tell(province.health, 100)
    for number in range(100):
        outbox.post("health@example.vn", f"subject {number}", "text")
    client.get(page)
    with django_assert_max_num_queries(12):
        client.get(page)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_delivery_log_leaves_as_a_file_with_what_the_person_sees(province, signed_in, kind):
    outbox.post("health@example.vn", "=for health", "text")
    outbox.post("commune@example.vn", "for the commune", "text")
    answer = signed_in(province.health).get("/notifications/deliveries", {"export": kind})
    body = b"".join(answer.streaming_content)
    assert answer.status_code == 200
    assert len(body) > 100
    if kind == "csv":
        assert b"for health" in body
        assert b"commune" not in body
    assert Entry.objects.filter(action="export", actor=province.health).count() == 1
