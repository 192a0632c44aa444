"""An invented province for tests of the console, and clients signed in as its people."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from django.test import Client

from khien.console.accounts.models import User
from khien.console.accounts.roles import Role
from khien.console.units.models import Unit, UnitKind


@dataclass
class Province:
    """Units by code and people by short name: `chair`, `analyst`, `admin`, `auditor`, `press`, `telecom`,
    `health` (duty officer of the department of health), `hospital` (of its hospital), `commune`."""

    units: dict[str, Unit] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)

    def __getattr__(self, name: str) -> User:
        try:
            return self.__dict__["people"][name]
        except KeyError:
            raise AttributeError(name) from None


def _unit(province: Province, code: str, name: str, kind: UnitKind, parent: str = "") -> None:
    unit = Unit.objects.create(code=code, name=name, kind=kind, parent=province.units.get(parent))
    unit.path = f"{unit.parent.path if unit.parent else ''}{unit.pk}."
    unit.save()
    province.units[code] = unit


def make_province() -> Province:
    """A small invented province; every person's password is `correct horse battery`."""
    kinds = {
        code: UnitKind.objects.update_or_create(
            code=code, defaults={"name_vi": vi, "name_en": en, "oversees": oversees}
        )[0]
        for code, vi, en, oversees in (
            ("subcommittee", "Tiểu ban", "Subcommittee", True),
            ("standing-office", "Cơ quan thường trực", "Standing office", True),
            ("department", "Sở", "Department", False),
            ("hospital", "Bệnh viện", "Hospital", False),
            ("commune", "Xã", "Commune", False),
            ("telecom", "Doanh nghiệp viễn thông", "Telecom company", False),
            ("press", "Cơ quan báo chí", "Press office", False),
        )
    }
    made = Province()
    _unit(made, "tieu-ban", "Tiểu ban An toàn, An ninh mạng", kinds["subcommittee"])
    _unit(made, "thuong-truc", "Cơ quan thường trực", kinds["standing-office"], "tieu-ban")
    _unit(made, "so-y-te", "Sở Y tế (mẫu)", kinds["department"], "tieu-ban")
    _unit(made, "benh-vien", "Bệnh viện tỉnh (mẫu)", kinds["hospital"], "so-y-te")
    _unit(made, "xa-mau", "Xã Mẫu", kinds["commune"], "tieu-ban")
    _unit(made, "vien-thong", "Viễn thông Mẫu", kinds["telecom"], "tieu-ban")
    _unit(made, "bao-mau", "Báo Mẫu", kinds["press"], "tieu-ban")
    for short, unit, role in (
        ("chair", "tieu-ban", Role.CHAIR),
        ("analyst", "thuong-truc", Role.ANALYST),
        ("analyst2", "thuong-truc", Role.ANALYST),
        ("admin", "thuong-truc", Role.ADMINISTRATOR),
        ("auditor", "thuong-truc", Role.AUDITOR),
        ("health", "so-y-te", Role.DUTY_OFFICER),
        ("hospital", "benh-vien", Role.DUTY_OFFICER),
        ("commune", "xa-mau", Role.DUTY_OFFICER),
        ("telecom", "vien-thong", Role.TELECOM_LIAISON),
        ("press", "bao-mau", Role.PRESS_OFFICER),
    ):
        made.people[short] = User.objects.create_user(
            f"{short}@example.vn", "correct horse battery", name=f"Người mẫu {short}", unit=made.units[unit], role=role
        )
    return made


def sign_in(user: User, language: str = "en") -> Client:
    """A client of a person, past the second factor."""
    client = Client()
    client.force_login(user)
    session = client.session
    session["second_factor"] = True
    session["began"] = session["seen"] = time.time()
    session["language"] = language
    session.save()
    return client
