"""Built files are found at addresses that change with them."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.skipif(
    not (Path(settings.STATICFILES_DIRS[0]) / "khien" / "app.js").exists(), reason="needs `make assets`"
)
def test_each_file_of_a_page_is_there_under_an_address_with_a_version(province, signed_in):
    page = signed_in(province.admin).get("/settings/").content.decode()
    found = set(re.findall(r'(?:src|href)="(/static/[^"#]+)', page))
    assert len(found) >= 4
    for address in found:
        assert re.search(r"\?v=[0-9a-f]{10}$", address)
        answer = Client().get(address)
        assert answer.status_code == 200, address
        assert "max-age" in answer["Cache-Control"]
