"""The sample province: invented, complete, made once, with a past."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.utils import timezone

from khien.console.accounts.models import User
from khien.console.accounts.roles import PRIVILEGED, Role
from khien.console.audit.models import Entry
from khien.console.directives.models import Directive, Session, Task, TaskState, TaskStep
from khien.console.exports.models import FileState, MadeFile
from khien.console.exports.services import folder
from khien.console.incidents.models import Incident
from khien.console.sample import codes, province
from khien.console.sample.clock import at
from khien.console.systems.models import InformationSystem
from khien.console.systems.selectors import overlaps, route
from khien.console.units import subcommittee
from khien.console.units.models import Unit, UnitKind
from khien.console.upkeep import jobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def logins(settings, tmp_path) -> list[province.Login]:
    settings.DATA = tmp_path
    return province.make()


def test_there_is_a_whole_province(logins):
    assert 40 <= Unit.objects.count() <= 60
    kinds = set(Unit.objects.values_list("kind__code", flat=True))
    assert {"department", "commune", "hospital", "school", "enterprise", "telecom", "press", "standing-office"} <= kinds
    assert all("mẫu" in name.lower() for name in Unit.objects.values_list("name", flat=True))
    assert set(User.objects.values_list("role", flat=True)) == set(Role.values)
    assert all(name.endswith("(mẫu)") for name in User.objects.values_list("name", flat=True))
    assert 70 <= InformationSystem.objects.count() <= 100
    levels = Counter(InformationSystem.objects.values_list("level", flat=True))
    assert levels[3] >= 15
    assert levels[4] == 2


def test_work_is_in_every_state_and_has_a_past(logins):
    assert {"planned", "concluded"} == set(Session.objects.values_list("state", flat=True))
    assert {"draft", "issued"} == set(Directive.objects.values_list("state", flat=True))
    assert set(Task.objects.values_list("state", flat=True)) == set(TaskState.values)
    assert Task.objects.overdue().count() >= 2
    assert Task.objects.exclude(wanted_due_at=None).exists()
    assert {"open", "contained", "closed"} == set(Incident.objects.values_list("status", flat=True))
    now = timezone.now()
    assert now - TaskStep.objects.earliest("at").at > timedelta(days=10)
    assert not TaskStep.objects.filter(at__gt=now).exists()
    assert not Entry.objects.filter(at__gt=now).exists()
    times = list(Entry.objects.order_by("number").values_list("at", flat=True))
    assert times == sorted(times)


def test_the_recordings_machines_find_their_units(logins):
    def unit(*names: str, addresses: tuple[str, ...] = ()) -> str:
        found, _system = route(names, addresses, "")
        return Unit.objects.get(pk=found).code if found else ""

    for code in ("so-y-te", "so-tai-chinh", "so-giao-duc", "van-phong"):
        assert unit(f"{code}-pc04.tinh.example") == code
        assert unit(f"{code}-sv01.tinh.example") == code
    assert unit("cong-dvc01") == "van-phong"
    assert unit(addresses=("10.1.0.44", "203.0.113.66")) == "tt-du-lieu"
    analyst = User.objects.get(email__startswith="phan-tich-1@")
    assert [each for system in InformationSystem.objects.all() for each in overlaps(analyst, system)] == []


def test_the_subcommittee_had_another_chair_before(logins):
    today = timezone.localdate()
    assert subcommittee.sitting_on(today)[0].person == "Trần Văn Mẫu (mẫu)"
    assert subcommittee.sitting_on(today - timedelta(days=200))[0].person == "Đinh Mẫu Vinh (mẫu)"


def test_the_worker_makes_its_files(logins):
    assert set(MadeFile.objects.values_list("state", flat=True)) == {FileState.WAITING}
    while jobs.work("test"):
        pass
    made = MadeFile.objects.all()
    assert len(made) == 2
    for each in made:
        assert (each.state, each.reason) == (FileState.READY, "")
        assert each.expires_at > timezone.now() + timedelta(days=6)
    by_name = {each.name.partition("-")[0]: each for each in made}
    lines = (folder() / by_name["incidents"].place).read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("Số,Tiêu đề,")
    assert len(lines) == 1 + Incident.objects.exclude(status="closed").count()


def test_it_is_made_once(logins):
    before = (User.objects.count(), Unit.objects.count(), Task.objects.count(), Entry.objects.count())
    assert province.make() == logins
    assert before == (User.objects.count(), Unit.objects.count(), Task.objects.count(), Entry.objects.count())


def test_it_never_goes_among_real_people(settings, tmp_path, province_of_others):
    settings.DATA = tmp_path
    with pytest.raises(province.NotEmptyError):
        province.make()
    assert not province.logins_file().exists()


@pytest.fixture
def province_of_others(db) -> User:
    unit = Unit.objects.create(code="x", name="X", kind=UnitKind.objects.first())
    return User.objects.create_user("a@example.vn", "x" * 12, name="A", unit=unit, role=Role.DUTY_OFFICER)


def test_everybody_can_sign_in(logins):
    assert province.logins_file().stat().st_mode & 0o077 == 0
    by_email = {login.email: login for login in logins}
    assert len(by_email) == User.objects.count()
    chair = User.objects.get(role=Role.CHAIR, email__startswith="chu-tich@")
    assert chair.check_password(by_email[chair.email].password)
    for user in User.objects.all():
        assert bool(by_email[user.email].secret) == (user.role in PRIVILEGED)
    login = codes.login_of("chu-tich")
    assert login == by_email[chair.email]
    code, seconds = codes.current_code(login.secret)
    assert 0 < seconds <= 30
    assert TOTP(Authenticator.objects.get(user=chair)).validate_code(code)
    assert codes.login_of("nobody") is None
    assert codes.otpauth(login).startswith("otpauth://totp/Khien:chu-tich@")


def test_the_clock_is_put_right_again():
    real = timezone.now
    with at(datetime(2026, 1, 1, tzinfo=UTC)):
        assert timezone.now().date() == date(2026, 1, 1)
        assert TaskStep._meta.get_field("at").get_default().date() == date(2026, 1, 1)
    assert timezone.now is real
    assert abs(TaskStep._meta.get_field("at").get_default().timestamp() - time.time()) < 5
