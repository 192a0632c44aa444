"""Inviting, changing and letting go of people; API keys; reads for other parts."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail as outbox
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from django.utils.translation import override

from khien.console.accounts import invitations, keys, mail, people, selectors
from khien.console.accounts.access import Forbidden
from khien.console.accounts.chores import CHORES
from khien.console.accounts.models import ApiKey, Invitation, User
from khien.console.audit.models import Entry
from khien.console.concurrency import Changed

MONTH = timedelta(days=30)


def invite(province, email: str = "moi@example.vn", role: str = "duty_officer"):
    return invitations.invite(province.admin, email, "Người mới", province.units["xa-mau"], role, "Chuyên viên")


def token_of(link: str) -> str:
    return link.rstrip("/").rsplit("/", 1)[1]


def test_an_invitation_ends_with_its_inviter_s_right_to_invite(province) -> None:
    _made, link = invite(province, role="administrator")
    User.objects.filter(pk=province.admin.pk).update(role="press_officer")
    with pytest.raises(ValidationError):
        invitations.accept(token_of(link), "kiên trì ngựa pin")


def test_an_invitation_makes_an_account_once(province, django_capture_on_commit_callbacks) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        made, link = invite(province, " MOI@Example.VN ")
    mail.wait()
    assert outbox.outbox[-1].to == ["moi@example.vn"]
    assert link in outbox.outbox[-1].body
    assert token_of(link) not in str(Invitation.objects.values().get())
    user = invitations.accept(token_of(link), "kiên trì ngựa pin")
    assert (user.email, user.unit.code, user.role, user.title) == (
        "moi@example.vn",
        "xa-mau",
        "duty_officer",
        "Chuyên viên",
    )
    made.refresh_from_db()
    assert (made.state, made.user) == ("used", user)
    with pytest.raises(ValidationError):
        invitations.accept(token_of(link), "kiên trì ngựa pin")
    with pytest.raises(ValidationError):
        invitations.revoke(province.admin, made)


def test_old_links_open_nothing(province) -> None:
    made, first = invite(province)
    second = invitations.invite_again(province.admin, made)
    assert invitations.find(token_of(first)) is None
    assert invitations.find(token_of(second)) == made
    _other, third = invite(province)
    assert invitations.find(token_of(second)) is None
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert invitations.find(token_of(third)) is None
    fourth = invitations.invite_again(province.admin, Invitation.objects.latest("id"))
    invitations.revoke(province.admin, Invitation.objects.latest("id"))
    assert invitations.find(token_of(fourth)) is None


def test_who_may_invite_whom(province) -> None:
    with pytest.raises(Forbidden):
        invitations.invite(province.chair, "a@example.vn", "A", province.units["xa-mau"], "auditor")
    with pytest.raises(ValidationError):
        invite(province, "HEALTH@example.vn")
    with pytest.raises(ValidationError):
        invite(province, role="emperor")
    province.health.role = "administrator"
    province.health.save()
    with pytest.raises(province.units["xa-mau"].DoesNotExist):
        invitations.invite(province.health, "a@example.vn", "A", province.units["xa-mau"], "auditor")


@pytest.fixture
def local_admin(province) -> User:
    """An administrator who sees the department of health and what is below it alone."""
    User.objects.filter(pk=province.health.pk).update(role="administrator")
    return User.objects.get(pk=province.health.pk)


def test_an_invitation_into_a_unit_one_does_not_see_stays_open(province, local_admin) -> None:
    made, first = invite(province)
    own, second = invitations.invite(local_admin, "moi@example.vn", "M", province.units["so-y-te"], "duty_officer")
    assert invitations.find(token_of(first)) == made
    assert invitations.find(token_of(second)) == own
    user = invitations.accept(token_of(first), "kiên trì ngựa pin")
    assert user.unit == province.units["xa-mau"]
    with pytest.raises(ValidationError):
        invitations.accept(token_of(second), "kiên trì ngựa pin")


def test_an_invitation_that_another_replaces_is_revoked_in_the_trail(province, local_admin) -> None:
    own, _link = invitations.invite(local_admin, "moi@example.vn", "M", province.units["so-y-te"], "duty_officer")
    invite(province)
    own.refresh_from_db()
    assert own.state == "revoked"
    assert Entry.objects.get(action="invitation.revoke").target_id == str(own.pk)


def test_whose_an_e_mail_is_is_told_only_to_who_sees_the_person_and_trying_is_kept(province, local_admin) -> None:
    for email, said, kept in (
        (province.hospital.email, "Somebody has an account", 0),
        (province.commune.email, "This e-mail cannot be used here", 1),
    ):
        with override("en"), pytest.raises(ValidationError, match=said):
            invitations.invite(local_admin, email, "A", province.units["so-y-te"], "auditor")
        assert Entry.objects.filter(action="user.refuse_keys", actor=local_admin).count() == kept
    assert Entry.objects.get(action="user.refuse_keys").after["keys"] == [province.commune.email]


def test_an_invitation_of_somebody_let_go_opens_nothing(province) -> None:
    _made, link = invite(province)
    User.objects.filter(pk=province.admin.pk).update(is_active=False)
    with pytest.raises(ValidationError):
        invitations.accept(token_of(link), "kiên trì ngựa pin")


def test_changes_are_versioned_and_recorded(province) -> None:
    values = {"name": "B", "role": "analyst", "unit": province.units["so-y-te"]}
    changed = people.change_person(province.admin, province.press.pk, 1, values)
    assert changed.version == 2
    entry = Entry.objects.get(action="user.change")
    assert entry.before["role"] == "press_officer"
    assert entry.after == {"name": "B", "role": "analyst", "unit": str(province.units["so-y-te"])}
    with pytest.raises(Changed):
        people.change_person(province.admin, province.press.pk, 1, {"name": "C"})
    people.change_person(province.admin, province.press.pk, 2, values)
    assert Entry.objects.count() == 1
    with pytest.raises(Forbidden):
        people.change_person(province.analyst, province.press.pk, 2, {"name": "C"})


def test_one_administrator_is_always_left(province) -> None:
    with pytest.raises(ValidationError):
        people.deactivate(province.admin, province.admin.pk, 1)
    with pytest.raises(ValidationError):
        people.change_person(province.admin, province.admin.pk, 1, {"role": "chair"})
    User.objects.filter(pk=province.analyst.pk).update(role="administrator")
    other = User.objects.get(pk=province.analyst.pk)
    people.change_person(other, province.admin.pk, 1, {"role": "chair"})
    User.objects.filter(pk=province.admin.pk).update(role="administrator", is_active=False)
    with pytest.raises(ValidationError):
        people.deactivate(User(pk=None, role="administrator", unit=other.unit, is_active=True), other.pk, 1)


def test_whoever_is_let_go_is_out_at_once(province) -> None:
    client = Client()
    client.force_login(province.health)
    assert client.get("/account/profile/").status_code == 200
    _key, secret = keys.create_key(province.health, "k", ["alerts:read"], timezone.now() + MONTH)
    assert keys.authenticate(secret) is not None
    people.deactivate(province.admin, province.health.pk, 1)
    assert client.get("/account/profile/").status_code == 302
    assert keys.authenticate(secret) is None
    assert {"user.deactivate", "key.revoke", "account.session_end"} <= set(
        Entry.objects.values_list("action", flat=True)
    )
    people.activate(province.admin, province.health.pk, 2)
    assert keys.authenticate(secret) is None


def test_a_lost_second_factor_is_taken_away(province, django_capture_on_commit_callbacks) -> None:
    Authenticator.objects.create(user=province.analyst, type="totp", data={"secret": "x"})
    with django_capture_on_commit_callbacks(execute=True):
        people.reset_factors(province.admin, province.analyst.pk)
    mail.wait()
    assert not Authenticator.objects.exists()
    assert outbox.outbox[-1].to == ["analyst@example.vn"]
    assert Entry.objects.get(action="factor.reset").before == {"types": ["totp"]}
    with pytest.raises(ValidationError):
        people.reset_factors(province.admin, province.admin.pk)
    with pytest.raises(Forbidden):
        people.reset_factors(province.chair, province.analyst.pk)


def test_taking_a_factor_away_in_the_browser_asks_who_it_is_first(province, signed_in) -> None:
    Authenticator.objects.create(user=province.analyst, type="totp", data={"secret": "x"})
    answer = signed_in(province.admin).post(f"/account/people/{province.analyst.pk}/reset-factors/")
    assert answer.status_code == 302
    assert "reauthenticate" in answer["Location"]
    assert Authenticator.objects.exists()


def test_a_key_opens_its_scopes_while_its_owner_may(province) -> None:
    key, secret = keys.create_key(province.analyst, "Cầu nối", ["alerts:read", "alerts:write"], timezone.now() + MONTH)
    assert re.fullmatch(r"khien_[0-9a-f]{12}_[\w-]{43}", secret)
    assert secret.rsplit("_", 1)[1] not in str(ApiKey.objects.values().get())
    found = keys.authenticate(secret)
    assert found == key
    assert found.may("alerts:read")
    assert not found.may("incidents:read")
    assert ApiKey.objects.get().used_at is not None
    User.objects.filter(pk=province.analyst.pk).update(role="press_officer")
    assert not keys.authenticate(secret).may("alerts:read")
    for wrong in ("", "khien_", secret[:-1], secret + "x", secret.replace("khien", "other"), "khien_x_y", "x" * 300):
        assert keys.authenticate(wrong) is None


def test_a_key_expires_and_is_revoked(province) -> None:
    key, secret = keys.create_key(province.health, "k", ["alerts:read"], timezone.now() + MONTH)
    ApiKey.objects.update(expires_at=timezone.now())
    assert keys.authenticate(secret) is None
    ApiKey.objects.update(expires_at=timezone.now() + MONTH)
    with pytest.raises(Forbidden):
        keys.revoke_key(province.hospital, key)
    keys.revoke_key(province.admin, key)
    assert keys.authenticate(secret) is None
    assert Entry.objects.filter(action="key.revoke").count() == 1


@pytest.mark.parametrize(
    ("scopes", "days"),
    [([], 30), (["nothing:at-all"], 30), (["incidents:read"], 30), (["tasks:read"], 400), (["tasks:read"], -1)],
)
def test_a_key_is_never_more_than_its_owner_may_nor_longer_than_a_year(province, scopes, days) -> None:
    with pytest.raises(ValidationError):
        keys.create_key(province.press, "k", scopes, timezone.now() + timedelta(days=days))
    assert not ApiKey.objects.exists()


def test_a_key_is_made_in_the_browser_and_shown_once(province, signed_in) -> None:
    client = signed_in(province.health)
    values = {"name": "Cầu nối", "scopes": ["alerts:read"], "expires_on": (timezone.localdate() + MONTH).isoformat()}
    page = client.post("/account/keys/", values)
    secret = page.context["secret"]
    assert secret in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert secret not in client.get("/account/keys/").content.decode()
    assert client.post("/account/keys/", {**values, "expires_on": "2090-01-01"}).status_code == 400


def test_reads_for_other_parts(province) -> None:
    assert list(selectors.people_of(province.units["so-y-te"], "alerts.work")) == [province.health]
    assert list(selectors.people_of(province.units["so-y-te"], "audit.view")) == []
    assert set(selectors.people_choices(province.health)) == {province.health, province.hospital}
    assert selectors.search_people(province.admin, "người MẪU chair") == [province.chair]
    assert selectors.search_people(province.commune, "health") == []
    assert selectors.search_people(province.admin, "  ") == []
    assert selectors.left_behind(province.health) == {"alerts": 0, "incidents": 0, "tasks": 0}


def test_chores_run_twice_without_harm(province) -> None:
    for chore in CHORES * 2:
        chore.run()
