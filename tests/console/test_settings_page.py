"""The settings page and the first administrator."""

from datetime import timedelta

import msgspec
import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from khien.console.accounts.first_administrator import create_administrator
from khien.console.accounts.models import User
from khien.console.audit.models import Entry
from khien.console.notifications import outbox
from khien.console.notifications.models import Mail
from khien.console.units.models import Unit
from khien.console.upkeep import lease
from khien.console.upkeep.models import ChoreRun
from khien.flow.status import ProcessStatus

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("language", ["vi", "en"])
def test_it_shows_how_everything_is(province, signed_in, settings, tmp_path, language):
    settings.LIVE = tmp_path
    (tmp_path / "status").mkdir()
    status = ProcessStatus("collect", 1, 1, 1, events=1234, error="<b>disk full</b>")
    (tmp_path / "status" / "collect.json").write_bytes(msgspec.json.encode(status))
    page = signed_in(province.admin, language).get("/settings/").content.decode()
    assert ("None at work" if language == "en" else "Không có") in page
    lease.acquire("elsewhere 1 1 x")
    now = timezone.now()
    ChoreRun.objects.create(name="test.fails", every=1, ended_at=now, failures=2, failed_at=now, error="<b>no lake</b>")
    ChoreRun.objects.create(name="test.fine", every=1, ended_at=now)
    ChoreRun.objects.create(name="test.late", every=1, ended_at=now - timedelta(hours=1))
    outbox.post("x@example.vn", "subject", "text")
    Mail.objects.update(error="451 come again", tries=1)
    page = signed_in(province.admin, language).get("/settings/").content.decode()
    for text in ("test.fails", "&lt;b&gt;no lake", "test.late", "451 come again", "collect", "&lt;b&gt;disk full"):
        assert text in page
    assert "<b>" not in page
    assert ("At work" if language == "en" else "Đang làm việc") in page


@pytest.mark.parametrize(("language", "words"), [("vi", "Tệp sau không dùng được"), ("en", "This cannot be used")])
def test_it_says_which_catalogue_is_broken(province, signed_in, settings, tmp_path, language, words):
    (tmp_path / "clocks.yml").write_text("rulesets: [{ruleset: <b>x</b>}]", encoding="utf-8")
    settings.CATALOGUES = str(tmp_path)
    page = signed_in(province.admin, language).get("/settings/").content.decode()
    assert words in page
    assert str(tmp_path / "clocks.yml") in page
    assert "effective_from" in page


def test_it_is_for_who_manages_the_settings(province, signed_in):
    assert signed_in(province.analyst).get("/settings/").status_code == 403
    assert Client().get("/settings/").status_code == 302


def test_a_unit_s_administrator_sees_nothing_of_the_server(province, signed_in):
    User.objects.filter(pk=province.health.pk).update(role="administrator")
    client = signed_in(province.health)
    assert client.get("/settings/").status_code == 403
    assert 'href="/settings/"' not in client.get("/units/").content.decode()
    assert 'href="/settings/"' in signed_in(province.admin).get("/units/").content.decode()


@pytest.mark.parametrize(
    ("language", "words"),
    [("vi", ("30 giây", "0,25 giây", "5 phút", "24 giờ")), ("en", ("30 s", "0.25 s", "5 min", "24 h"))],
)
def test_how_long_and_how_often_is_said_in_words(province, signed_in, language, words):
    now = timezone.now()
    for number, (every, took) in enumerate(((30, 0.25), (300, 1), (86_400, 2))):
        ChoreRun.objects.create(name=f"test.{number}", every=every, seconds=took, ended_at=now)
    page = signed_in(province.admin, language).get("/settings/").content.decode()
    for each in words:
        assert f">{each}</td>" in page


def test_it_makes_few_queries(province, signed_in, django_assert_max_num_queries):
    client = signed_in(province.admin)
    for number in range(100):
        ChoreRun.objects.create(name=f"test.{number}", every=1)
        outbox.post("health@example.vn", "subject", "text")
    client.get("/settings/")
    with django_assert_max_num_queries(20):
        client.get("/settings/")


def test_the_first_administrator_gets_a_unit_and_a_link_that_sets_the_password(db):
    user, link = create_administrator("Chief@Example.VN", "Nguyễn Văn Mẫu")
    assert (user.email, user.role, user.unit.kind.code) == ("chief@example.vn", "administrator", "standing-office")
    assert user.unit.parent.kind.oversees
    assert Unit.objects.count() == 2
    assert not user.has_usable_password()
    path = link.partition("://")[2].partition("/")[2]
    client = Client()
    answer = client.get(f"/{path}", follow=True)
    assert answer.status_code == 200
    form = answer.redirect_chain[-1][0]
    secret = "một mật khẩu dài 2026"
    client.post(form, {"password1": secret, "password2": secret})
    user.refresh_from_db()
    assert user.check_password(secret)
    assert Client().get(f"/{path}").status_code == 200  # the used link opens nothing: it says so
    assert Entry.objects.filter(action="user.create", actor_name="khien console create-admin").count() == 1


def test_an_administrator_who_lost_the_way_gets_a_new_link_and_others_do_not(province):
    assert create_administrator("admin@example.vn", "")[0] == province.admin
    assert User.objects.count() == len(province.people)
    with pytest.raises(ValidationError):
        create_administrator("analyst@example.vn", "")
    with pytest.raises(ValidationError):
        create_administrator("no address", "")
    with pytest.raises(Unit.DoesNotExist):
        create_administrator("new@example.vn", "New", "no-such-unit")
    assert create_administrator("new@example.vn", "New", "so-y-te")[0].unit == province.units["so-y-te"]
