"""What no form of ours sends: numbers beyond every column, NUL in texts, and parts asked for by who is signed out."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from console_api import Api
from khien.console.directives.models import Directive

pytestmark = pytest.mark.django_db
HUGE = ("9223372036854775808", "9" * 30, "9" * 5000, "٣", "-1", "1.000")
PLACES = (
    "/tasks/boards/?session=",
    "/tasks/?unit=",
    "/tasks/?person=",
    "/tasks/?session=",
    "/tasks/?page=",
    "/tasks/new/?incident=",
    "/directives/?session=",
    "/directives/new/?conclusion=",
    "/incidents/new/?alerts=",
    "/incidents/?page=",
    "/account/people/?unit=",
    "/systems/?unit=",
    "/alerts/?after=",
    "/audit/?page=",
    "/search/?q=",
)


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize("place", PLACES)
def test_a_number_beyond_every_column_in_an_address_is_no_error_of_ours(province, signed_in, place, number):
    for who in (province.analyst, province.admin):
        answer = signed_in(who).get(place + quote(number))
        assert answer.status_code in (200, 302, 400, 403, 404), answer.status_code


@pytest.mark.parametrize("pk", ["9223372036854775808", "9" * 30])
@pytest.mark.parametrize("place", ["/tasks/{}/", "/directives/{}/", "/sessions/{}/", "/units/{}/", "/alerts/{}/"])
def test_there_is_nothing_under_a_number_beyond_every_column(province, signed_in, place, pk):
    assert signed_in(province.analyst).get(place.format(pk)).status_code == 404


def test_forms_with_numbers_beyond_every_column_are_refused(province, signed_in):
    client = signed_in(province.analyst)
    form = {"title": "Vá", "text": "Vá", "sign": "CĐ", "due_at": "2031-01-01T10:00", "unit": ["9" * 30, "1" * 5000]}
    assert client.post("/directives/new/", form).status_code in (200, 400)
    assert not Directive.objects.exists()
    assert client.post("/tasks/bulk/", {"task": ["9" * 30], "do": "accept"}).status_code == 302
    assert client.post("/notifications/read-all", {"newest": "9" * 30}).status_code == 302
    incident = {"title": "Mã độc", "level": "3", "unit": "9" * 30, "units": ["9" * 30], "systems": ["9" * 30]}
    assert client.post("/incidents/new/", incident).status_code in (200, 400, 422)


@pytest.mark.parametrize(
    "place", ["/tasks/?q=", "/directives/?q=", "/sessions/?q=", "/alerts/?q=", "/incidents/?text=", "/units/?text="]
)
def test_nul_in_an_address_is_refused(province, signed_in, place):
    assert signed_in(province.analyst).get(place + "a%00b").status_code == 400


def test_nul_in_a_form_is_refused(province, signed_in):
    answer = signed_in(province.analyst).post("/tasks/bulk/", {"do": "accept", "next": "a\0b"})
    assert answer.status_code == 400


def test_nul_and_half_pairs_in_a_body_are_refused_by_the_api(province):
    api = Api(province.analyst)
    for text in ("a\0b", "a\ud800b"):
        body = {"title": text, "unit": province.units["so-y-te"].pk, "due_at": "2031-01-01T10:00:00Z"}
        assert api("POST", "/tasks", body).status_code == 400


def test_numbers_beyond_every_column_are_refused_by_the_api(province):
    api = Api(province.analyst)
    opened = {"title": "Mã độc", "level": 3, "unit": province.units["so-y-te"].pk, "systems": [2**70]}
    assert api("POST", "/incidents", opened).status_code == 422
    closing = {"alerts": {str(2**70): None}, "verdict": "benign"}
    assert api("POST", "/alerts/close", closing).status_code in (200, 404, 422)
    assert api("GET", f"/tasks/{2**70}").status_code == 404
    assert api("GET", f"/tasks?unit={2**70}").status_code == 422


def test_a_part_asked_for_by_who_is_signed_out_sends_the_whole_page_to_sign_in(client, province):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/alerts/?q=level:high"}
    answer = client.get("/notifications/latest", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["HX-Redirect"].startswith("/account/")
    assert answer.headers["HX-Redirect"].endswith(f"next={quote('/alerts/?q=level:high', safe='/')}")


def test_who_is_signed_out_and_sends_a_form_comes_back_to_a_page_that_exists(client, province):
    answer = client.post("/tasks/bulk/", {"do": "accept"})
    assert answer.status_code == 302
    assert answer.headers["Location"].endswith("next=/")


def test_pages_of_webhooks_send_who_is_signed_out_to_sign_in(client, province):
    assert client.get("/api/webhooks/").status_code == 302
