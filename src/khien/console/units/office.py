"""The body that issues documents, as it stands at their head."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings

from khien.console.units.models import Unit
from khien.documents.document import Language, Signature
from khien.documents.office import Office


def office(*, language: Language = "vi", signature: Signature | None = None) -> Office:
    """As the operator names it; the issuer, where it is not named, is the root of the units, which oversees all."""
    told: Office = settings.OFFICE
    issuer = told.issuer
    if not issuer:
        root = Unit.objects.filter(parent=None, kind__oversees=True).order_by("pk").first()
        issuer = root.name if root else ""
    return replace(told, issuer=issuer or "–", language=language, signature=signature)


def directive_sign() -> str:
    """What follows the number of a directive: "CĐ-TBATANM"."""
    told: Office = settings.OFFICE
    return told.sign("CĐ")
