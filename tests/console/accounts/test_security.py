"""Attacks on signing in: guessing, fixation, going round the second factor, redirects, hosts, forged requests."""

from __future__ import annotations

import re
import threading
import time
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core import mail as outbox
from django.db import connection
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from console_accounts import PASSWORD, sign_in
from khien.console.accounts import lockout, mail, sessions
from khien.console.accounts.models import Lockout, LoginFailure, User
from khien.console.audit.models import Entry
from khien.console.notifications.models import Notice

HOME = "/account/profile/"


def actions() -> list[str]:
    return list(Entry.objects.order_by("number").values_list("action", flat=True))


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


# Forged requests


def test_every_form_of_accounts_wants_the_csrf_token(province) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(province.admin)
    session = client.session
    session["second_factor"] = True
    session.save()
    names = [name for name in get_resolver().reverse_dict if isinstance(name, str)]
    tried = 0
    for name in names:
        if not name.startswith(("account_", "mfa_", "usersessions_")):
            continue
        arguments = {"account_reset_password_from_key": ["1", "set-password"]}.get(name)
        if arguments is None:
            arguments = [1] if "pk" in str(get_resolver().reverse_dict.getlist(name)[0][0]) else []
        url = reverse(name, args=arguments)
        assert client.post(url).status_code == 403, url
        tried += 1
    own = ["join_form", "profile", "keys", "users", "invitations"]
    own_pk = ["revoke_key", "user", "act", "reset_factors", "invitation"]
    for url in [reverse(f"accounts:{n}") for n in own] + [reverse(f"accounts:{n}", args=[1]) for n in own_pk]:
        assert client.post(url).status_code == 403, url
    assert tried >= 20


# Fixation


def test_the_session_key_changes_at_signing_in(province) -> None:
    client = Client()
    client.get("/account/login/")
    session = client.session
    session["planted"] = True
    session.save()
    before = session.session_key
    client.cookies["sessionid"] = before
    assert sign_in(client, "health@example.vn").status_code == 302
    assert client.session.session_key != before
    old = Client()
    old.cookies["sessionid"] = before
    assert not is_in(old)


# Redirects and hosts


@pytest.mark.parametrize(
    "next_url", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_nobody_is_sent_to_another_site_after_signing_in(province, next_url: str) -> None:
    answer = sign_in(Client(), "health@example.vn", next=next_url)
    assert answer.status_code == 302
    assert answer["Location"] == "/"
    assert sign_in(Client(), "health@example.vn", next="/alerts/?a=1")["Location"] == "/alerts/?a=1"


def test_a_foreign_host_header_is_refused_and_never_stands_in_a_mail(province, settings) -> None:
    settings.ADDRESS = "https://khien.example.vn"
    assert Client().get("/account/login/", headers={"host": "evil.example"}).status_code == 400
    Client().post("/account/password/reset/", {"email": "health@example.vn"}, headers={"host": "testserver"})
    mail.wait()
    assert "https://khien.example.vn/account/password/reset/key/" in outbox.outbox[-1].body
    assert "testserver" not in outbox.outbox[-1].body


# Guessing


def test_five_wrong_passwords_lock_the_account_and_people_are_told(province) -> None:
    client = Client()
    for _each in range(lockout.ATTEMPTS):
        assert sign_in(client, "health@example.vn", "wrong").status_code == 200
    assert not is_in(client)
    sign_in(client, "health@example.vn")
    assert not is_in(client)
    mail.wait()
    assert [each.to for each in outbox.outbox] == [["health@example.vn"]]
    assert Notice.objects.filter(user=province.admin, kind="account.lock").count() == 1
    assert actions().count("account.sign_in_failed") == 5
    assert actions().count("account.lock") == 1
    assert Client().get("/health").status_code == 200


def test_no_more_passwords_are_looked_at_at_once_than_may_be_wrong(province) -> None:
    looked_at = [lockout.attempt("health@example.vn", f"10.0.0.{n}") for n in range(lockout.ATTEMPTS + 5)]
    assert sum(each is not None for each in looked_at) == lockout.ATTEMPTS


def test_the_lock_ends_by_itself_and_lasts_longer_the_next_time(province) -> None:
    for _each in range(lockout.ATTEMPTS):
        sign_in(Client(), "health@example.vn", "wrong")
    first = Lockout.objects.get().until - timezone.now()
    past = timezone.now() - timedelta(minutes=20)
    Lockout.objects.update(until=past)
    LoginFailure.objects.update(at=past - timedelta(minutes=1))
    for _each in range(lockout.ATTEMPTS):
        sign_in(Client(), "health@example.vn", "wrong")
    second = Lockout.objects.get().until - timezone.now()
    assert second > first * 1.8
    Lockout.objects.update(until=past)
    LoginFailure.objects.update(at=past - timedelta(minutes=1))
    client = Client()
    sign_in(client, "health@example.vn")
    assert is_in(client)
    assert (Lockout.objects.get().times, LoginFailure.objects.count()) == (0, 0)


def test_an_administrator_unlocks(province, signed_in) -> None:
    for _each in range(lockout.ATTEMPTS):
        sign_in(Client(), "health@example.vn", "wrong")
    admin = signed_in(province.admin)
    listed = admin.get(reverse("accounts:users"), {"state": "locked"}).context["page"].object_list
    assert [person.pk for person in listed] == [province.health.pk]
    admin.post(reverse("accounts:act", args=[province.health.pk]), {"action": "unlock"})
    client = Client()
    sign_in(client, "health@example.vn")
    assert is_in(client)
    assert "account.unlock" in actions()


def test_an_address_that_guesses_for_many_is_refused(province, monkeypatch) -> None:
    monkeypatch.setattr(lockout, "ADDRESS_ATTEMPTS", 10)
    for number in range(10):
        sign_in(Client(), f"person{number}@example.vn", "wrong")
    client = Client()
    sign_in(client, "health@example.vn")
    assert not is_in(client)
    elsewhere = Client(REMOTE_ADDR="10.9.8.7")
    sign_in(elsewhere, "health@example.vn")
    assert is_in(elsewhere)


def test_answers_do_not_tell_who_has_an_account(province) -> None:
    def answers(email: str) -> list[str]:
        client, found = Client(), []
        client.cookies["language"] = "en"
        for _each in range(lockout.ATTEMPTS + 1):
            text = sign_in(client, email, "wrong").content.decode()
            found += re.findall(r'role="alert">([^<]+)', text)[:1]
        return found

    known = answers("health@example.vn")
    assert known == answers("nobody@example.vn")
    assert known[0] != known[-1]
    one = Client().post("/account/password/reset/", {"email": "health@example.vn"})
    two = Client().post("/account/password/reset/", {"email": "nobody@example.vn"})
    assert (one.status_code, one["Location"]) == (two.status_code, two["Location"])
    mail.wait()
    assert {each.to[0] for each in outbox.outbox if "password/reset/key" in each.body} == {"health@example.vn"}


def test_an_inactive_account_is_told_only_to_who_knows_the_password(province) -> None:
    User.objects.filter(pk=province.health.pk).update(is_active=False)
    assert sign_in(Client(), "health@example.vn", "wrong").status_code == 200
    client = Client()
    assert sign_in(client, "health@example.vn")["Location"] == reverse("account_inactive")
    assert not is_in(client)


@pytest.mark.django_db(transaction=True)
def test_many_guesses_at_once_are_all_counted(province) -> None:
    results: list[bool] = []

    def guess() -> None:
        try:
            found = lockout.attempt("health@example.vn", "10.0.0.1")
            if found is not None:
                lockout.failed("health@example.vn")
            results.append(found is not None)
        finally:
            connection.close()

    threads = [threading.Thread(target=guess) for _each in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20
    assert Lockout.objects.get().until > timezone.now()
    assert lockout.attempt("health@example.vn", "10.0.0.2") is None


def test_asking_for_new_passwords_is_limited(province) -> None:
    statuses = [
        Client().post("/account/password/reset/", {"email": "health@example.vn"}).status_code for _each in range(5)
    ]
    assert statuses == [302, 302, 302, 429, 429]


# The second factor


def test_a_privileged_role_sets_a_factor_up_before_anything_else(province) -> None:
    client = Client()
    sign_in(client, "analyst@example.vn")
    assert is_in(client)
    for url in (HOME, "/", "/account/keys/", "/account/password/change/", "/account/sessions/", "/alerts/", "/units/"):
        assert client.get(url)["Location"] == reverse("mfa_index"), url
    assert client.get(reverse("mfa_index")).status_code == 200
    part = client.get(HOME, headers={"HX-Request": "true"})
    assert (part.status_code, part["HX-Redirect"]) == (204, reverse("mfa_index"))
    assert client.post(reverse("account_logout")).status_code == 302


def test_with_a_factor_the_code_is_asked_for(province, totp) -> None:
    code = totp(province.analyst)
    client = Client()
    assert sign_in(client, "analyst@example.vn", next=HOME)["Location"].startswith(reverse("mfa_authenticate"))
    assert not is_in(client)
    assert client.get(HOME)["Location"].startswith("/account/login/")
    assert client.post(reverse("mfa_authenticate"), {"code": "000000"}).status_code == 200
    assert not is_in(client)
    client.post(reverse("mfa_authenticate"), {"code": code()})
    assert is_in(client)
    assert client.get(HOME).status_code == 200
    last = Entry.objects.order_by("-number").first()
    assert (last.action, last.after) == ("account.sign_in", {"how": ["password", "totp"]})


def test_a_code_opens_once(province, totp) -> None:
    code = totp(province.analyst)
    given = code()
    one, two = Client(), Client()
    for client in (one, two):
        sign_in(client, "analyst@example.vn")
        client.post(reverse("mfa_authenticate"), {"code": given})
    assert is_in(one)
    assert not is_in(two)
    from django.core.cache import cache

    cache.clear()  # another process
    two.post(reverse("mfa_authenticate"), {"code": given})
    assert not is_in(two)
    two.post(reverse("mfa_authenticate"), {"code": code(1)})
    assert is_in(two)
    three = Client()
    sign_in(three, "analyst@example.vn")
    three.post(reverse("mfa_authenticate"), {"code": code()})
    assert not is_in(three)


def test_wrong_codes_lock_the_account(province, totp) -> None:
    code = totp(province.analyst)
    client = Client()
    sign_in(client, "analyst@example.vn")
    for _each in range(lockout.ATTEMPTS):
        client.post(reverse("mfa_authenticate"), {"code": "000000"})
    client.post(reverse("mfa_authenticate"), {"code": code()})
    assert not is_in(client)
    assert "account.lock" in actions()
    other = Client()
    sign_in(other, "analyst@example.vn")
    assert "account_login" not in other.session


def test_a_session_begun_with_the_password_alone_does_not_pass_once_a_factor_is_set_up_elsewhere(
    province, totp
) -> None:
    client = Client()
    sign_in(client, "analyst@example.vn")
    code = totp(province.analyst)
    answer = client.get(HOME)
    assert answer["Location"] == f"{reverse('mfa_reauthenticate')}?next=%2Faccount%2Fprofile%2F"
    for name in ("mfa_index", "mfa_deactivate_totp", "mfa_generate_recovery_codes", "account_reauthenticate"):
        assert client.get(reverse(name)).status_code == 302
        assert reverse("mfa_reauthenticate") in client.get(reverse(name))["Location"]
    assert client.get(reverse("mfa_reauthenticate")).status_code == 200
    client.post(reverse("mfa_reauthenticate"), {"code": code()})
    assert client.get(HOME).status_code == 200


def test_the_password_alone_takes_no_factor_away(province, totp) -> None:
    totp(province.health)
    client = Client()
    client.force_login(province.health)
    answer = client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("mfa_reauthenticate"))
    client.post(reverse("mfa_deactivate_totp"))
    assert Authenticator.objects.filter(user=province.health).exists()


@pytest.mark.django_db(transaction=True)
def test_setting_a_factor_up_ends_the_sessions_without_one(province) -> None:
    one, two = Client(), Client()
    for client in (one, two):
        sign_in(client, "analyst@example.vn")
        client.get("/")
    assert UserSession.objects.filter(user=province.analyst).count() == 2
    set_up(one)
    assert one.get(HOME).status_code == 200
    assert not is_in(two)
    assert "factor.add" in actions()


def set_up(client: Client) -> str:
    """Set an app up in a session; its secret."""
    from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

    url = reverse("mfa_activate_totp")
    assert reverse("account_reauthenticate") in client.get(url)["Location"]
    answer = client.post(f"{reverse('account_reauthenticate')}?next={url}", {"password": PASSWORD, "next": url})
    assert answer["Location"] == url
    page = client.get(url)
    secret = page.context["form"].secret
    assert "data:image/svg+xml;base64," in page.content.decode()
    assert "style=" not in page.content.decode()
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    assert client.post(url, {"code": code})["Location"] == reverse("mfa_view_recovery_codes")
    return secret


@pytest.mark.django_db(transaction=True)
def test_recovery_codes_are_shown_once_and_each_opens_once(province) -> None:
    client = Client()
    sign_in(client, "analyst@example.vn")
    set_up(client)
    codes = client.get(reverse("mfa_view_recovery_codes")).context["unused_codes"]
    assert len(codes) == 10
    assert codes[0] not in client.get(reverse("mfa_view_recovery_codes")).content.decode()
    for expected in (True, False):
        other = Client()
        sign_in(other, "analyst@example.vn")
        other.post(reverse("mfa_authenticate"), {"code": codes[0]})
        assert is_in(other) is expected
    assert "factor.recovery_code" in actions()


@pytest.mark.django_db(transaction=True)
def test_the_last_factor_of_a_privileged_role_cannot_be_turned_off(province) -> None:
    client = Client()
    sign_in(client, "analyst@example.vn")
    set_up(client)
    answer = client.post(reverse("mfa_deactivate_totp"))
    assert answer.status_code == 200
    assert Authenticator.objects.filter(user=province.analyst, type="totp").exists()
    User.objects.filter(pk=province.analyst.pk).update(role="duty_officer")
    client.post(reverse("mfa_deactivate_totp"))
    assert not Authenticator.objects.filter(user=province.analyst).exists()
    User.objects.filter(pk=province.analyst.pk).update(role="analyst")
    assert client.get(HOME)["Location"] == reverse("mfa_index")


def test_a_factor_shown_for_one_person_is_nothing_for_another(province, totp) -> None:
    code = totp(province.analyst)
    client = Client()
    sign_in(client, "analyst@example.vn")
    client.post(reverse("mfa_authenticate"), {"code": code()})
    assert client.get(HOME).status_code == 200
    client.post(reverse("account_logout"))
    sign_in(client, "chair@example.vn")
    assert client.get(HOME)["Location"] == reverse("mfa_index")


def test_nonsense_sent_as_a_passkey_opens_nothing(province) -> None:
    client = Client()
    client.get(reverse("mfa_login_webauthn"), headers={"accept": "application/json"})
    for credential in ("", "{}", "[]", '{"id": "x", "response": {}}', "null", '"a"'):
        answer = client.post(reverse("mfa_login_webauthn"), {"credential": credential})
        assert answer.status_code == 302, credential
        assert not is_in(client)


# Sessions


def test_a_session_ends_by_age_and_by_silence(province) -> None:
    def aged(person: User, **shift: float) -> Client:
        client = Client()
        client.force_login(person)
        session = client.session
        now = time.time()
        session.update(
            {"second_factor": True, "began": now - shift.get("began", 0), "seen": now - shift.get("seen", 0)}
        )
        session.save()
        return client

    assert aged(province.analyst, seen=3500).get(HOME).status_code == 200
    assert aged(province.analyst, seen=3700).get(HOME)["Location"] == f"/account/login/?next={HOME}"
    assert aged(province.health, seen=3700).get(HOME).status_code == 200
    assert aged(province.health, began=12 * 3600 + 5).get(HOME).status_code == 302
    assert actions().count("account.session_expire") == 2
    client = aged(province.analyst, seen=1000)
    client.get(HOME, headers={"accept": "text/event-stream"})
    assert time.time() - client.session["seen"] > 900
    client.get(HOME)
    assert time.time() - client.session["seen"] < 100


def test_changing_the_password_ends_the_other_sessions(province) -> None:
    one, two = Client(), Client()
    for client in (one, two):
        sign_in(client, "health@example.vn")
        client.get(HOME)
    before = one.session.session_key
    new = "another horse staple"
    answer = one.post(reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert answer.status_code == 302
    assert one.get(HOME).status_code == 200
    assert one.session.session_key != before
    assert two.get(HOME).status_code == 302
    assert {"account.password_change", "account.session_end"} <= set(actions())


def test_a_forgotten_password_is_set_anew_once_and_all_sessions_end(province) -> None:
    inside = Client()
    sign_in(inside, "health@example.vn")
    inside.get(HOME)
    Client().post("/account/password/reset/", {"email": "health@example.vn"})
    mail.wait()
    link = re.search(r"http\S+", outbox.outbox[-1].body)[0].split("8080")[-1]
    client = Client()
    form = client.get(link)["Location"]
    new = "another horse staple"
    assert client.get(form).status_code == 200
    assert client.post(form, {"password1": new, "password2": new}).status_code == 302
    assert inside.get(HOME).status_code == 302
    again = Client()
    assert "used or has expired" in again.get(link, headers={"cookie": "language=en"}).content.decode()
    sign_in(again, "health@example.vn", new)
    assert is_in(again)
    assert {"account.password_ask", "account.password_reset"} <= set(actions())


def test_people_end_their_own_sessions_and_administrators_those_of_others(province, signed_in) -> None:
    one, two, three = Client(), Client(), Client()
    for client in (one, two, three):
        sign_in(client, "health@example.vn")
        client.get(HOME)
    keys = {each.session_key: each.pk for each in UserSession.objects.filter(user=province.health)}
    one.post(reverse("usersessions_list"), {"session": keys[two.session.session_key]})
    assert not is_in(two)
    admin = signed_in(province.admin)
    foreign = signed_in(province.commune)
    foreign.post(reverse("usersessions_list"), {"session": keys[three.session.session_key]})
    assert is_in(three)
    url = reverse("accounts:act", args=[province.health.pk])
    admin.post(url, {"action": "end_session", "session": keys[three.session.session_key]})
    assert not is_in(three)
    admin.post(url, {"action": "end_sessions"})
    assert not is_in(one)
    assert sessions.sessions_of(province.health) == []


def test_every_step_is_in_the_trail(province, totp) -> None:
    client = Client(HTTP_USER_AGENT="Firefox/1", REMOTE_ADDR="10.1.2.3")
    sign_in(client, "health@example.vn", "wrong")
    sign_in(client, "health@example.vn")
    client.post(reverse("account_logout"))
    found = list(Entry.objects.order_by("number").values_list("action", "actor_name", "address", "target_id"))
    assert [each[0] for each in found] == ["account.sign_in_failed", "account.sign_in", "account.sign_out"]
    assert {each[2] for each in found} == {"10.1.2.3"}
    assert {each[3] for each in found} == {str(province.health.pk)}
    assert PASSWORD not in str(list(Entry.objects.values()))
    assert "wrong" not in str(list(Entry.objects.values("before", "after")))
