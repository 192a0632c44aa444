"""Makes the sample province through the services that people use; done twice, it changes nothing."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from khien.console.accounts.models import User
from khien.console.accounts.roles import PRIVILEGED, Role
from khien.console.audit.services import record
from khien.console.sample import LOGINS
from khien.console.sample.clock import at
from khien.console.sample.work import tell
from khien.console.systems.services import create_system
from khien.console.units import subcommittee
from khien.console.units.models import Unit, UnitKind
from khien.console.units.naming import code_of
from khien.console.units.services import create_unit
from khien.errors import KhienError

DATA = Path(__file__).resolve().parent / "data"
DOMAIN = "tinh-mau.example"
ACTOR = "khien console sample"
DAYS_AGO = 40
"""So long ago the province was entered."""


class NotEmptyError(KhienError):
    """There are real people in the database: the sample has no place in it."""


@dataclass(frozen=True, slots=True)
class Login:
    """How one signs in as somebody. `secret`: of the second factor, for roles that need one."""

    email: str
    name: str
    role: str
    unit: str
    password: str
    secret: str = ""


@dataclass(slots=True)
class Sample:
    """The province while it is made: units by code, people by key, systems by code."""

    day: datetime
    units: dict[str, Unit] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)
    systems: dict[str, Any] = field(default_factory=dict)

    def moment(self, days: float, clock: str = "09:00") -> datetime:
        """A local time so many days from the day it is made."""
        hour, minute = clock.split(":")
        return (self.day + timedelta(days=days)).replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)


def logins_file() -> Path:
    """Where the sample's passwords and secrets lie, for whoever owns the data folder."""
    return Path(settings.DATA) / LOGINS


def make() -> list[Login]:
    """The sample province, made where it is not there yet; how to sign in as its people. Raises NotEmptyError."""
    if logins_file().exists() and User.objects.exists():
        return known_logins()
    if User.objects.exists():
        raise NotEmptyError(
            "there are people in the database already", str(settings.DATA), "Give another data folder with --data"
        )
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    with transaction.atomic():
        sample = Sample(timezone.localtime())
        with at(sample.moment(-DAYS_AGO, "08:00")):
            _first_units(sample)
            logins = _people(sample, password)
            _units(sample)
            logins += _duty_officers(sample, password)
            _systems(sample)
            _subcommittee(sample)
        tell(sample, _read("work"))
        # The file comes first: an account whose password nobody knows would be of no use.
        _write(logins)
    return logins


def known_logins() -> list[Login]:
    """How to sign in as the sample's people, as written down when they were made."""
    return [Login(**each) for each in json.loads(logins_file().read_text(encoding="utf-8"))]


def _write(logins: list[Login]) -> None:
    place = logins_file()
    place.touch(mode=0o600)
    place.chmod(0o600)
    rows = [{name: getattr(login, name) for name in Login.__dataclass_fields__} for login in logins]
    place.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")


def _read(name: str) -> Any:
    return yaml.safe_load((DATA / f"{name}.yml").read_text(encoding="utf-8"))


def _first_units(sample: Sample) -> None:
    """The subcommittee and its office, before there is anybody to make them."""
    for code, kind, name, short, parent in (
        ("tieu-ban", "subcommittee", "Tiểu ban An toàn, An ninh mạng tỉnh Mẫu (mẫu)", "Tiểu ban", ""),
        ("thuong-truc", "standing-office", "Cơ quan thường trực Tiểu ban (mẫu)", "Cơ quan thường trực", "tieu-ban"),
    ):
        above = sample.units.get(parent)
        unit = Unit.objects.create(
            code=code, name=name, short_name=short, kind=UnitKind.objects.get(code=kind), parent=above
        )
        unit.path = f"{above.path if above else ''}{unit.pk}."
        unit.save(update_fields=["path"])
        record(None, "unit.create", unit, after={"code": code, "name": name}, actor_name=ACTOR)
        sample.units[code] = unit


def _person(sample: Sample, told: Mapping[str, str], hashed: str, password: str) -> Login:
    user = User.objects.create_user(
        f"{told['key']}@{DOMAIN}",
        name=f"{told['name']} (mẫu)",
        title=told["title"],
        unit=sample.units[told["unit"]],
        role=told["role"],
    )
    user.password = hashed
    user.save(update_fields=["password"])
    secret = ""
    if user.role in PRIVILEGED:
        secret = generate_totp_secret()
        TOTP.activate(user, secret)
    after = {"email": user.email, "role": user.role, "unit": str(user.unit)}
    record(None, "user.create", user, after=after, actor_name=ACTOR)
    sample.people[told["key"]] = user
    return Login(user.email, user.name, user.role, str(user.unit), password, secret)


def _people(sample: Sample, password: str) -> list[Login]:
    """Those of the first units, by whom all others are made; the rest follows their units."""
    first = [each for each in _read("people")["people"] if each["unit"] in sample.units]
    hashed = make_password(password)
    return [_person(sample, each, hashed, password) for each in first]


def _units(sample: Sample) -> None:
    kinds = {kind.code: kind for kind in UnitKind.objects.all()}
    for told in _read("units")["units"]:
        sample.units[told["code"]] = create_unit(
            sample.people["quan-tri"],
            code=told["code"],
            name=told["name"],
            short_name=told.get("short", told["name"].removesuffix(" (mẫu)")),
            kind=kinds[told["kind"]],
            parent=sample.units[told.get("parent", "tieu-ban")],
            email=f"vanthu.{told['code']}@{DOMAIN}",
            address=f"Số 1, đường Mẫu, {sample.units['tieu-ban'].short_name} (mẫu)"
            if told["kind"] == "committee"
            else "",
        )


def _duty_officers(sample: Sample, password: str) -> list[Login]:
    """The people of the list that are left, and a duty officer for each unit that has nobody."""
    told, hashed = _read("people"), make_password(password)
    made = [_person(sample, each, hashed, password) for each in told["people"] if each["key"] not in sample.people]
    manned = {person.unit_id for person in sample.people.values()}
    alone = [unit for code, unit in sample.units.items() if unit.pk not in manned]
    for number, unit in enumerate(alone):
        family, given = told["family"][number % len(told["family"])], told["given"][number % len(told["given"])]
        row = {
            "key": f"truc.{unit.code}",
            "name": f"{family} Mẫu {given}",
            "title": "Cán bộ trực",
            "unit": unit.code,
            "role": Role.DUTY_OFFICER,
        }
        made.append(_person(sample, row, hashed, password))
    return made


def _systems(sample: Sample) -> None:
    by, told = sample.people["phan-tich-1"], _read("systems")
    for each in told["systems"]:
        _system(
            sample, by, each["code"], each["name"], each["unit"], each["level"], each.get("hosts"), each.get("ranges")
        )
    for row in _read("units")["units"]:
        code = row["code"]
        if "lan" not in row:
            continue
        short = sample.units[code].short_name
        _system(sample, by, f"{code}-may-tram", f"Máy trạm {short} (mẫu)", code, 1, [f"{code}-pc*"], [row["lan"]])
        if code in told["servers"]:
            _system(sample, by, f"{code}-may-chu", f"Máy chủ {short} (mẫu)", code, 2, [f"{code}-sv*"], [])


def _system(
    sample: Sample,
    by: User,
    code: str,
    name: str,
    unit: str,
    level: int,
    hosts: list[str] | None,
    ranges: list[str] | None,
) -> None:
    sample.systems[code] = create_system(
        by,
        code=code_of(code),
        name=name,
        unit=sample.units[unit],
        level=level,
        hostnames="\n".join(hosts or []),
        address_ranges="\n".join(ranges or []),
    )


def _subcommittee(sample: Sample) -> None:
    """The seats: one chair before the present one, so that there is a history to look at."""
    by, day = sample.people["quan-tri"], sample.day.date()
    first = subcommittee.appoint(
        by,
        seat="chair",
        person="Đinh Mẫu Vinh (mẫu)",
        position="Nguyên Trưởng tiểu ban",
        unit=sample.units["tieu-ban"],
        decision_number="08/QĐ-TU (mẫu)",
        decision_date=day - timedelta(days=400),
        starts_on=day - timedelta(days=395),
    )
    decision = {"decision_number": "21/QĐ-TU (mẫu)", "decision_date": day - timedelta(days=125)}
    for told in _read("people")["people"]:
        if "seat" not in told:
            continue
        person = sample.people[told["key"]]
        fields = {
            "user": person,
            "person": person.name,
            "position": told["title"],
            "unit": person.unit,
            "starts_on": day - timedelta(days=120),
            "ends_on": day + timedelta(days=1706),
            **decision,
        }
        if told["seat"] == "chair":
            subcommittee.replace(by, first.pk, None, **fields)
        else:
            subcommittee.appoint(by, seat=told["seat"], **fields)
