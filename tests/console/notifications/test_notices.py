"""Notices, preferences, and how notices become few mails."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.utils import timezone, translation
from django.utils.translation import gettext_noop

from khien.console.notifications import outbox, selectors, services
from khien.console.notifications.bundles import gather, release
from khien.console.notifications.models import Bundle, Mail, Notice
from khien.console.notifications.preferences import Wishes, save_preferences
from khien.console.notifications.services import notify

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)  # 12:00 in Vietnam
TEXT = gettext_noop("Cancel")


def _tell(person, kind: str = "task.new", count: int = 1, **options) -> None:
    for number in range(count):
        notify([person], kind, "Task %(title)s", {"title": f"number {number}"}, url=f"/tasks/{number}", **options)


def _run(minutes: int, start: datetime = NOON) -> None:
    """Let time pass, a round a minute."""
    for minute in range(minutes):
        gather(start + timedelta(minutes=minute))
        release(start + timedelta(minutes=minute))


def test_each_is_told_once_and_reads_it_in_his_language(province):
    notify([province.health, province.health, province.hospital], "task.new", TEXT)
    assert Notice.objects.count() == 2
    notice = Notice.objects.get(user=province.health)
    with translation.override("vi"):
        assert str(notice) == "Hủy"
    with translation.override("en"):
        assert str(notice) == "Cancel"


def test_the_inactive_are_told_nothing_and_nobody_sees_what_others_were_told(province):
    province.hospital.is_active = False
    province.hospital.save()
    notify([province.health, province.hospital], "task.new", TEXT)
    assert Notice.objects.count() == 1
    assert selectors.unread_count(province.health) == 1
    assert selectors.unread_count(province.commune) == 0
    with pytest.raises(Notice.DoesNotExist):
        services.mark_read(province.commune, Notice.objects.get().pk)


def test_a_text_that_lacks_a_param_is_shown_all_the_same(province):
    notify([province.health], "task.new", "Task %(title)s of %(unit)s", {"title": "x"})
    assert str(Notice.objects.get()) == "Task %(title)s of %(unit)s"


def test_marking_all_as_read_goes_up_to_what_was_seen_and_by_family(province):
    _tell(province.health, "task.new", 3)
    newest = Notice.objects.first().pk
    _tell(province.health, "alert.new", 2)
    _tell(province.health, "session.invited", 1)
    _tell(province.health, "strange", 1)
    assert services.mark_all_read(province.health, up_to=newest) == 3
    assert services.mark_all_read(province.health, family="directive") == 1
    assert services.mark_all_read(province.health, family="other") == 1
    assert selectors.unread_count(province.health) == 2


def test_one_notice_becomes_one_mail_with_its_text_as_subject_and_a_link(province, post):
    _tell(province.health)
    _run(4)
    outbox.send_waiting()
    (taken,) = post.taken
    assert taken["Subject"] == "[Khiên] Task number 0"
    text = taken.get_body(("plain",)).get_content()
    assert "https://khien.example.vn/tasks/0" in text
    assert text.startswith("Kính gửi")
    assert 'href="https://khien.example.vn/tasks/0"' in taken.get_body(("html",)).get_content()


def test_several_of_one_kind_within_minutes_become_one_mail(province, post):
    province.health.language = "en"
    province.health.save()
    _tell(province.health, count=12)
    _tell(province.health, "incident.new", 1)
    _run(4)
    outbox.send_waiting()
    assert sorted(each["Subject"] for each in post.taken) == ["[Khiên] 12 notices: Tasks", "[Khiên] Task number 0"]
    text = next(each for each in post.taken if "12" in each["Subject"]).get_body(("plain",)).get_content()
    assert text.count("https://khien.example.vn/tasks/") == 10
    assert "and 2 more" in text


def test_what_is_sensitive_stands_neither_in_subject_nor_text_of_a_mail(province, post):
    notify(
        [province.health],
        "incident.new",
        "Incident %(number)s: %(title)s",
        {"number": "7", "title": "Secret"},
        sensitive=["title"],
    )
    assert str(Notice.objects.get()) == "Incident 7: Secret"
    _run(4)
    outbox.send_waiting()
    assert post.taken[0]["Subject"] == "[Khiên] Incident 7: …"
    assert "Secret" not in post.taken[0].as_string()


def test_hostile_words_are_escaped_in_the_mail(province, post):
    notify([province.health], "task.new", "Task %(title)s", {"title": "<script>alert(1)</script>\r\nBcc: x@y.z"})
    _run(4)
    outbox.send_waiting()
    assert "<script>" not in post.taken[0].get_body(("html",)).get_content()
    assert post.taken[0]["Bcc"] is None


def test_one_may_choose_never_to_be_told_of_a_family(province):
    save_preferences(
        province.health, {"task": {"console": False, "mail": "none"}, "alert": {"console": True, "mail": "none"}}
    )
    _tell(province.health, "task.new")
    assert Notice.objects.count() == 0
    _tell(province.health, "task.overdue", urgent=True)
    assert selectors.unread_count(province.health) == 1  # what is urgent is always shown
    _tell(province.health, "alert.new")
    assert selectors.unread_count(province.health) == 2
    _run(90)
    assert Mail.objects.count() == 0


def test_one_may_choose_mail_without_the_console(province):
    save_preferences(province.health, {"task": {"console": False, "mail": "once"}})
    _tell(province.health)
    assert selectors.unread_count(province.health) == 0
    _run(4)
    assert Mail.objects.count() == 1


def test_digests_come_at_the_full_hour_and_at_the_time_chosen(province):
    save_preferences(
        province.health, {"task": {"mail": "hourly"}, "incident": {"mail": "daily"}}, digest_at=time(15, 30)
    )
    start = NOON + timedelta(minutes=20)
    _tell(province.health, "task.new", 3)
    _tell(province.health, "incident.new", 2)
    due = {each.slot: timezone.localtime(each.due_at).strftime("%d %H:%M") for each in _gathered(start)}
    assert due == {"@hourly": "24 13:00", "@daily": "24 15:30"}
    assert release(start + timedelta(minutes=39)) == 0
    assert release(start + timedelta(minutes=41)) == 1
    assert Mail.objects.get().notices == 3
    assert release(NOON + timedelta(hours=3, minutes=31)) == 1
    assert [each.notices for each in Mail.objects.all()] == [2, 3]
    assert all(each.subject.startswith("[Khiên] Tổng hợp") for each in Mail.objects.all())


def _gathered(at: datetime) -> list[Bundle]:
    gather(at)
    return list(Bundle.objects.exclude(due_at=None))


def test_quiet_hours_hold_back_all_but_the_urgent(province):
    save_preferences(province.health, {}, quiet_from=time(22, 0), quiet_until=time(6, 0))
    night = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)  # 23:00
    _tell(province.health, "task.new", 4)
    _tell(province.health, "alert.new", 4)
    _tell(province.health, "clock.due", 1, urgent=True)
    gather(night)
    assert release(night + timedelta(minutes=5)) == 1
    assert Mail.objects.get().subject == "[Khiên] Task number 0"
    assert release(night + timedelta(hours=6, minutes=58)) == 0
    assert release(night + timedelta(hours=7)) == 1
    assert Mail.objects.first().notices == 8


@pytest.mark.parametrize(
    ("begin", "end", "at", "until"),
    [
        ((22, 0), (6, 0), (23, 0), (25, 6, 0)),
        ((22, 0), (6, 0), (5, 59), (24, 6, 0)),
        ((22, 0), (6, 0), (6, 0), None),
        ((12, 0), (13, 30), (12, 0), (24, 13, 30)),
        ((12, 0), (13, 30), (13, 30), None),
        ((8, 0), (8, 0), (8, 0), None),
    ],
)
def test_quiet_hours_may_go_over_midnight(begin, end, at, until):
    moment = timezone.make_aware(datetime(2026, 11, 24, *at))
    found = Wishes({}, time(*begin), time(*end)).quiet_end(moment)
    assert found == (None if until is None else timezone.make_aware(datetime(2026, 11, *until)))


def test_over_the_limit_of_mails_an_hour_the_rest_come_as_a_summary_that_says_so(province, settings):
    settings.MAIL_PER_HOUR = 5
    province.health.language = "en"
    province.health.save()
    now = timezone.now()
    for number in range(9):
        _tell(province.health, f"task.kind{number}", 2)
    gather(now)
    assert release(now + timedelta(minutes=3)) == 5
    digest = Bundle.objects.get(slot="@hourly")
    assert (digest.count, digest.held) == (8, 8)
    assert release(digest.due_at) == 1
    mail = Mail.objects.first()
    assert (mail.kind, mail.notices) == ("digest", 8)
    assert "8 of them came after the limit of 5 mails an hour was reached." in mail.text
    assert release(now + timedelta(days=1)) == 0


def test_what_keeps_coming_is_mailed_ever_more_rarely_and_nothing_is_left_out(province):
    start = NOON
    count = 0
    for minute in range(600):  # one a minute for ten hours
        at = start + timedelta(minutes=minute)
        _tell(province.health, "incident.changed")
        count += 1
        gather(at)
        release(at)
    release(start + timedelta(hours=20))
    assert Mail.objects.count() <= 12
    assert sum(each.notices for each in Mail.objects.all()) == count


def test_after_a_calm_time_the_next_comes_soon_again(province):
    start = NOON
    for minute in range(120):
        _tell(province.health, "incident.changed")
        gather(start + timedelta(minutes=minute))
        release(start + timedelta(minutes=minute))
    release(start + timedelta(hours=8))
    before = Mail.objects.count()
    at = start + timedelta(hours=20)
    _tell(province.health, "incident.changed")
    gather(at)
    assert release(at + timedelta(minutes=3)) == 1
    assert Mail.objects.count() == before + 1


def test_the_inactive_get_no_mail_of_what_was_gathered_before(province):
    _tell(province.health)
    gather(NOON)
    province.health.is_active = False
    province.health.save()
    assert release(NOON + timedelta(minutes=10)) == 0
    assert Mail.objects.count() == 0


def test_of_a_person_with_very_many_the_oldest_go_and_mails_waiting_stay(province, monkeypatch):
    monkeypatch.setattr(services, "MOST_KEPT", 10)
    _tell(province.health, count=25)
    gather()
    outbox.post("health@example.vn", "waiting", "text")
    Mail.objects.update(created_at=timezone.now() - timedelta(days=400))
    services.forget_old()
    assert Notice.objects.count() == 10
    assert Notice.objects.first().params == {"title": "number 24"}
    assert Mail.objects.count() == 1
