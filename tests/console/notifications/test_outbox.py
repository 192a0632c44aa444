"""The outbox: each mail reaches a real mail server once, or waits until it can, or is given up and says why."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMultiAlternatives, get_connection
from django.utils import timezone

from khien.console.notifications import outbox
from khien.console.notifications.models import Mail, MailState

pytestmark = pytest.mark.django_db


def _later() -> None:
    Mail.objects.filter(state=MailState.WAITING).update(next_try_at=timezone.now() - timedelta(seconds=1))


def test_a_mail_reaches_the_server_once_and_what_was_in_it_is_forgotten(province, post):
    mail = outbox.post("health@example.vn", "Nhiệm vụ mới", "Nội dung tiếng Việt\n", "<p>Nội dung</p>")
    assert outbox.send_waiting() == 1
    assert outbox.send_waiting() == 0
    (taken,) = post.taken
    assert taken["Subject"] == "Nhiệm vụ mới"
    assert taken["To"] == "health@example.vn"
    assert taken["Message-ID"] == mail.message_id
    assert taken["Auto-Submitted"] == "auto-generated"
    assert taken.get_body(("plain",)).get_content().strip() == "Nội dung tiếng Việt"
    assert "<p>Nội dung</p>" in taken.get_body(("html",)).get_content()
    mail.refresh_from_db()
    assert (mail.state, mail.text, mail.html, mail.tries, mail.user) == ("sent", "", "", 1, province.health)
    assert mail.sent_at is not None


def test_a_subject_cannot_bring_headers_along(post, province):
    outbox.post("health@example.vn", "Alert\r\nBcc: evil@example.com\u202e\x00", "text")
    outbox.send_waiting()
    assert post.taken[0]["Subject"] == "Alert Bcc: evil@example.com"
    assert post.taken[0]["Bcc"] is None


def test_while_the_server_is_away_mails_wait_and_none_is_lost_or_doubled(province, post):
    post.stop()
    for number in range(5):
        outbox.post("health@example.vn", f"number {number}", "text")
    assert outbox.send_waiting() == 0
    assert Mail.objects.filter(state=MailState.WAITING).count() == 5
    tried = Mail.objects.get(tries=1)  # only one told of it
    assert "ConnectionRefusedError" in tried.error
    assert tried.next_try_at > timezone.now()
    post.start()
    _later()
    assert outbox.send_waiting() == 5
    assert sorted(each["Subject"] for each in post.taken) == [f"number {number}" for number in range(5)]
    assert not Mail.objects.exclude(state=MailState.SENT).exists()
    assert not Mail.objects.exclude(error="").exists()


def test_an_address_that_is_refused_for_good_is_given_up_and_the_next_still_goes(province, post):
    post.answers = {"nobody@example.vn": "550 no such person", "full@example.vn": "452 mailbox full"}
    for to in ("nobody@example.vn", "full@example.vn", "health@example.vn"):
        outbox.post(to, "subject", "text")
    assert outbox.send_waiting() == 1
    states = {each.to: (each.state, each.error) for each in Mail.objects.all()}
    assert states["nobody@example.vn"] == ("failed", "550 no such person")
    assert states["full@example.vn"] == ("waiting", "452 mailbox full")
    assert states["health@example.vn"][0] == "sent"
    post.answers = {}
    _later()
    assert outbox.send_waiting() == 1


def test_waits_grow_and_a_mail_refused_for_days_is_given_up(province, post):
    post.answer_all = "451 come again"
    mail = outbox.post("health@example.vn", "subject", "text")
    waits = []
    for _ in range(9):
        _later()
        before = timezone.now()
        outbox.send_waiting()
        mail.refresh_from_db()
        waits.append(round((mail.next_try_at - before).total_seconds()))
    assert waits == sorted(waits)
    assert waits[0] == 30
    assert waits[-1] == 3600
    Mail.objects.update(tries=outbox.MOST_TRIES - 1)
    _later()
    outbox.send_waiting()
    mail.refresh_from_db()
    assert mail.state == MailState.FAILED


def test_what_a_worker_that_died_was_sending_is_sent_by_the_next(province, post):
    mail = outbox.post("health@example.vn", "subject", "text")
    Mail.objects.update(state=MailState.SENDING)
    assert outbox.send_waiting() == 1
    assert post.taken[0]["Message-ID"] == mail.message_id


def test_mails_of_the_accounts_go_through_the_outbox_too(province, post):
    message = EmailMultiAlternatives(
        "Reset",
        "the link",
        to=["health@example.vn"],
        connection=get_connection("khien.console.notifications.outbox.Backend"),
    )
    message.attach_alternative("<p>the link</p>", "text/html")
    message.send()
    assert Mail.objects.get().kind == "account"
    outbox.send_waiting()
    assert post.taken[0].get_body(("html",)).get_content().strip() == "<p>the link</p>"


def test_without_a_mail_server_mails_become_files(province, settings, tmp_path):
    settings.MAIL_TRANSPORT = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    outbox.post("health@example.vn", "subject", "text")
    assert outbox.send_waiting() == 1
    (file,) = tmp_path.iterdir()
    assert "Subject: subject" in file.read_text()
