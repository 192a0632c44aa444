"""The first administrator of an empty installation, and a way back in for one who has lost the way."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from khien.console.accounts.models import User
from khien.console.accounts.roles import Role
from khien.console.audit.services import hold_trail, record
from khien.console.units.models import Unit, UnitKind

ACTOR = "khien console create-admin"
ROOT = ("subcommittee", "tieu-ban", "Tiểu ban An toàn, An ninh mạng", "Subcommittee")
OFFICE = ("standing-office", "thuong-truc", "Cơ quan thường trực", "Standing office")


def create_administrator(email: str, name: str, unit: str = "") -> tuple[User, str]:
    """The administrator with that e-mail, made if there is none, and a link that sets the password, once.

    `unit`: a unit's code; without one, the standing office, which is made with the subcommittee where there are no
    units. Raises ValidationError for an e-mail that is none or of somebody who is no active administrator, and
    Unit.DoesNotExist.
    """
    email = User.objects.normalize_email(email).strip().lower()
    validate_email(email)
    with transaction.atomic():
        hold_trail()
        user = User.objects.select_for_update(of=("self",)).filter(email=email).first()
        if user is None:
            place = Unit.objects.get(code=unit) if unit else _standing_office()
            user = User.objects.create_user(email, name=name.strip(), unit=place, role=Role.ADMINISTRATOR)
            after = {"email": email, "role": user.role, "unit": str(place)}
            record(None, "user.create", user, after=after, actor_name=ACTOR)
        elif user.role != Role.ADMINISTRATOR or not user.is_active:
            raise ValidationError(f"{email} has an account that is no active administrator's")
        else:
            record(None, "user.reset_link", user, actor_name=ACTOR)
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    return user, get_adapter().get_reset_password_from_key_url(key)


def _standing_office() -> Unit:
    office = Unit.objects.filter(kind__code=OFFICE[0], is_active=True).order_by("pk").first()
    if office is not None:
        return office
    root = Unit.objects.filter(parent=None).order_by("pk").first() or _made(*ROOT, parent=None)
    return _made(*OFFICE, parent=root)


def _made(kind: str, code: str, name: str, name_en: str, parent: Unit | None) -> Unit:
    held = UnitKind.objects.get_or_create(code=kind, defaults={"name_vi": name, "name_en": name_en, "oversees": True})
    unit = Unit.objects.create(code=code, name=name, kind=held[0], parent=parent)
    unit.path = f"{parent.path if parent else ''}{unit.pk}."
    unit.save(update_fields=["path"])
    record(None, "unit.create", unit, after={"code": code, "name": name, "kind": kind}, actor_name=ACTOR)
    return unit
