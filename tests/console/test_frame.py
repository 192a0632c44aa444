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


@pytest.mark.parametrize("language", ["vi", "en"])
def test_what_cannot_be_taken_is_said_on_a_page_like_the_others(province, signed_in, language):
    title = {"vi": "Yêu cầu không hợp lệ", "en": "This request cannot be taken"}[language]
    for client in (signed_in(province.analyst, language), _stranger(language)):
        answer = client.get("/search?q=a%00b")
        page = answer.content.decode()
        assert answer.status_code == 400
        assert f"<title>{title} · Khiên</title>" in page
        assert "NUL" not in page
        assert 'class="rail"' in page or "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    ("language", "words"), [("vi", "Yêu cầu không hợp lệ."), ("en", "This request cannot be taken.")]
)
def test_who_asks_for_another_host_learns_nothing_else(province, signed_in, language, words):
    for client in (signed_in(province.analyst, language), _stranger(language)):
        answer = client.get("/alerts/", headers={"host": "evil.example"})
        assert answer.status_code == 400
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.content.decode() == words


def _stranger(language):
    client = Client()
    client.cookies["language"] = language
    return client


def test_the_language_form_never_leads_elsewhere(province, signed_in):
    answer = signed_in(province.analyst).post("/language", {"language": "en", "next": "https://evil.example/"})
    assert answer["Location"] == "/"


def test_a_privileged_role_without_a_second_factor_gets_no_further(province):
    client = Client()
    client.force_login(province.analyst)
    answer = client.get("/alerts/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/account/2fa")
