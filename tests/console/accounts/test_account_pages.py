"""Every page of accounts shows itself in both languages, to those who may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from khien.console.accounts import invitations, keys
from khien.console.accounts.models import User

SignedIn = Callable[..., Client]
OWN = [
    "accounts:profile",
    "accounts:keys",
    "mfa_index",
    "mfa_list_webauthn",
    "usersessions_list",
    "account_change_password",
    "account_logout",
]
PUBLIC = [
    "account_login",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key_done",
    "account_inactive",
]
MANAGING = ["accounts:users", "accounts:invitations", "accounts:all_keys"]


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("name", OWN)
def test_own_pages_show_in_both_languages(province, signed_in: SignedIn, name: str, language: str) -> None:
    answer = signed_in(province.health, language).get(reverse(name))
    assert answer.status_code == 200
    assert ("Đăng xuất" if language == "vi" else "Sign out") in answer.content.decode()


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("name", PUBLIC)
def test_public_pages_show_in_both_languages(db: None, name: str, language: str) -> None:
    client = Client()
    client.cookies["language"] = language
    answer = client.get(reverse(name))
    assert answer.status_code == 200
    assert f'<html lang="{language}"' in answer.content.decode()


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("name", MANAGING)
def test_managing_pages_show_to_administrators_only(province, signed_in: SignedIn, name: str, language: str) -> None:
    assert signed_in(province.admin, language).get(reverse(name)).status_code == 200
    assert signed_in(province.analyst, language).get(reverse(name)).status_code == 403
    assert Client().get(reverse(name)).status_code == 302


@pytest.mark.parametrize("name", OWN)
def test_strangers_are_sent_to_sign_in(db: None, name: str) -> None:
    answer = Client().get(reverse(name))
    assert answer.status_code == 302


@pytest.mark.parametrize("path", ["signup/", "email/", "confirm-email/", "3rdparty/", "password/set/", "2fa/trust/"])
def test_pages_of_allauth_that_make_no_sense_are_not_there(province, signed_in: SignedIn, path: str) -> None:
    assert signed_in(province.health).get(f"/account/{path}").status_code == 404


def test_the_list_is_filtered_by_what_stands_in_the_address(province, signed_in: SignedIn) -> None:
    client = signed_in(province.admin)
    User.objects.filter(pk=province.press.pk).update(is_active=False, seen_at=timezone.now())
    Authenticator.objects.create(user=province.chair, type=Authenticator.Type.TOTP, data={"secret": "x"})
    unit = province.units["so-y-te"].pk

    def names(**given: object) -> set[str]:
        page = client.get(reverse("accounts:users"), given).context["page"]
        return {person.email.split("@")[0] for person in page.object_list}

    assert names(unit=unit) == {"health"}
    assert names(role="auditor") == {"auditor"}
    assert names(state="inactive") == {"press"}
    assert names(factor="yes") == {"chair"}
    assert names(seen="day") == {"press"}
    assert "press" not in names(seen="silent")
    assert names(q="mẫu analyst2") == {"analyst2"}
    assert names(q="telecom@example.vn") == {"telecom"}
    assert names(unit="x", role="nobody", seen="?") >= {"health", "chair"}


def test_a_list_ten_times_as_long_asks_no_more_questions(province, signed_in, django_assert_max_num_queries) -> None:
    client = signed_in(province.admin)
    for number in range(100):
        User.objects.create_user(
            f"more{number}@example.vn", name=f"Người {number}", unit=province.units["xa-mau"], role="duty_officer"
        )
    client.get(reverse("accounts:users"))
    with django_assert_max_num_queries(16):
        client.get(reverse("accounts:users"))


def test_hostile_names_are_shown_as_text(province, signed_in: SignedIn) -> None:
    User.objects.filter(pk=province.press.pk).update(name="<script>alert(1)</script>")
    client = signed_in(province.admin)
    for url in (reverse("accounts:users"), reverse("accounts:user", args=[province.press.pk])):
        text = client.get(url).content.decode()
        assert "<script>alert(1)" not in text
        assert "&lt;script&gt;alert(1)" in text


def test_people_are_exported_and_that_is_recorded(province, signed_in: SignedIn) -> None:
    answer = signed_in(province.admin).get(reverse("accounts:users"), {"export": "csv", "role": "auditor"})
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert "auditor@example.vn" in text
    assert "analyst@example.vn" not in text


def test_one_person_shows_sessions_factors_and_keys_in_both_languages(province, signed_in: SignedIn) -> None:
    signed_in(province.health).get(reverse("accounts:profile"))
    keys.create_key(province.health, "Cầu nối", ["alerts:read"], timezone.now() + timedelta(days=30))
    Authenticator.objects.create(user=province.health, type=Authenticator.Type.TOTP, data={"secret": "x"})
    for language in ("vi", "en"):
        answer = signed_in(province.admin, language).get(reverse("accounts:user", args=[province.health.pk]))
        assert answer.status_code == 200
        assert "Cầu nối" in answer.content.decode()


def test_the_profile_is_changed_and_a_conflict_is_told(province, signed_in: SignedIn) -> None:
    client, url = signed_in(province.health), reverse("accounts:profile")
    values = {"name": "Tên mới", "phone": "0901 234 567", "language": "en", "version": 1}
    assert client.post(url, values).status_code == 302
    again = client.post(url, {**values, "name": "Tên khác"})
    assert again.status_code == 409
    assert "Tên khác" in again.content.decode()
    assert "Tên mới" in again.content.decode()
    province.health.refresh_from_db()
    assert (province.health.name, province.health.version, province.health.role) == ("Tên mới", 2, "duty_officer")


def test_a_person_is_changed_and_a_conflict_is_told(province, signed_in: SignedIn) -> None:
    client, url = signed_in(province.admin), reverse("accounts:user", args=[province.press.pk])
    values = {
        "name": "A",
        "title": "Trưởng phòng",
        "unit": province.units["xa-mau"].pk,
        "role": "analyst",
        "version": 1,
    }
    assert client.post(url, values).status_code == 302
    assert client.post(url, {**values, "name": "B"}).status_code == 409
    province.press.refresh_from_db()
    assert (province.press.name, province.press.role, province.press.version) == ("A", "analyst", 2)


def test_an_invitation_is_made_and_taken_up_in_the_browser(province, signed_in: SignedIn) -> None:
    answer = signed_in(province.admin).post(
        reverse("accounts:invitations"),
        {"email": "moi@example.vn", "name": "Người mới", "unit": province.units["xa-mau"].pk, "role": "duty_officer"},
    )
    link = answer.context["link"]
    assert link in answer.content.decode()
    client = Client()
    path = "/account/join/" + link.rsplit("/", 2)[1] + "/"
    page = client.get(path, follow=True)
    assert page.redirect_chain[0][0] == reverse("accounts:join_form")
    assert "moi@example.vn" in page.content.decode()
    weak = {"name": "Người mới", "password1": "short", "password2": "short"}
    assert client.post(reverse("accounts:join_form"), weak).status_code == 400
    good = {"name": "Người mới", "password1": "kiên trì ngựa pin", "password2": "kiên trì ngựa pin"}
    assert client.post(reverse("accounts:join_form"), good).status_code == 302
    assert int(client.session["_auth_user_id"]) == User.objects.get(email="moi@example.vn").pk
    assert Client().get(path, follow=True).status_code == 404


def test_foreign_people_invitations_and_keys_are_not_there(province, signed_in: SignedIn) -> None:
    User.objects.filter(pk=province.health.pk).update(role="administrator")
    province.health.refresh_from_db()
    client = signed_in(province.health)
    made, _link = invitations.invite(province.admin, "x@example.vn", "X", province.units["xa-mau"], "duty_officer")
    key, _secret = keys.create_key(province.commune, "k", ["alerts:read"], timezone.now() + timedelta(days=1))
    assert client.get(reverse("accounts:user", args=[province.commune.pk])).status_code == 404
    assert client.post(reverse("accounts:act", args=[province.commune.pk]), {"action": "unlock"}).status_code == 404
    assert client.post(reverse("accounts:invitation", args=[made.pk]), {"action": "revoke"}).status_code == 404
    assert client.post(reverse("accounts:revoke_key", args=[key.pk])).status_code == 404
    assert client.get(reverse("accounts:user", args=[province.hospital.pk])).status_code == 200
    page = client.get(reverse("accounts:users")).context["page"]
    assert {person.email for person in page.object_list} == {"health@example.vn", "hospital@example.vn"}


def test_nobody_renames_or_removes_the_keys_of_others(province, signed_in: SignedIn) -> None:
    key = Authenticator.objects.create(user=province.health, type=Authenticator.Type.WEBAUTHN, data={"name": "x"})
    client = signed_in(province.commune)
    session = client.session  # proven a moment ago
    session["account_authentication_methods"] = [{"method": "password", "at": 9e9, "reauthenticated": True}]
    session["account_authentication_methods_user"] = str(province.commune.pk)
    session.save()
    for name in ("mfa_edit_webauthn", "mfa_remove_webauthn"):
        url = reverse(name, kwargs={"pk": key.pk})
        assert client.get(url).status_code == 404
        assert client.post(url, {"name": "y"}).status_code == 404
    assert Authenticator.objects.filter(pk=key.pk).exists()
