"""The frame: first page, health, language, and the pages that say what went wrong."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_a_stranger_is_sent_to_sign_in():
    answer = Client().get("/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/account/login")


def test_the_console_says_that_it_is_well():
    assert Client().get("/health").json() == {"status": "ok"}


def test_nothing_here_is_said_in_the_language_chosen(province, signed_in):
    client = signed_in(province.analyst)
    assert "There is nothing here" in client.get("/no-such-page").content.decode()
    client.post("/language", {"language": "vi"})
    answer = client.get("/no-such-page")
    assert answer.status_code == 404
    assert "Không có gì ở đây" in answer.content.decode()
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "unsafe-inline" not in answer["Content-Security-Policy"]


def test_the_language_form_never_leads_elsewhere(province, signed_in):
    answer = signed_in(province.analyst).post("/language", {"language": "en", "next": "https://evil.example/"})
    assert answer["Location"] == "/"


def test_a_privileged_role_without_a_second_factor_gets_no_further(province):
    client = Client()
    client.force_login(province.analyst)
    answer = client.get("/alerts/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/account/2fa")
