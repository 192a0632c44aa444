"""The head of documents: as the operator names it, else by the root of the units."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from khien.console.directives import issuing
from khien.console.directives.minutes import directive_document
from khien.console.units.office import office
from khien.documents.office import Office

pytestmark = pytest.mark.django_db
TOLD = Office(issuer="Ban Mẫu", parent="Ủy ban Mẫu", code="BM", place="Mẫu Thành")


def _draft(province: Any) -> Any:
    due, unit = timezone.now() + timedelta(days=3), province.units["so-y-te"]
    return issuing.draft(province.analyst, title="Rà soát", text="Rà soát", due_at=due, units={unit: None})


def test_without_a_setting_the_root_of_the_units_issues(province: Any) -> None:
    assert (office().issuer, office().code) == (province.units["tieu-ban"].name, "TBATANM")
    assert _draft(province).sign == "CĐ-TBATANM"


def test_what_the_operator_names_stands_on_documents_and_forms(province: Any, settings: Any, signed_in: Any) -> None:
    settings.OFFICE = TOLD
    draft = _draft(province)
    document = directive_document(draft, list(draft.units.all()))
    assert (document.issuer, document.parent, document.place) == ("Ban Mẫu", "Ủy ban Mẫu", "Mẫu Thành")
    assert document.sign == "CĐ-BM"
    page = signed_in(province.admin).get("/settings/").content.decode()
    assert all(text in page for text in ("Ban Mẫu", "Ủy ban Mẫu", "Mẫu Thành"))


def test_there_is_a_head_before_there_are_units(db: None) -> None:
    assert office().issuer == "–"
