"""Exceptions from rules: made, prolonged, ended, and kept as files that the live service loads."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from khien.console.accounts.access import Forbidden, demand
from khien.console.accounts.models import User
from khien.console.accounts.roles import roles_with
from khien.console.alerts.exception_drafts import check
from khien.console.alerts.models import Alert, AlertActivity, RuleException
from khien.console.alerts.rule_index import KnownRule, RuleIndex
from khien.console.audit.services import record
from khien.console.concurrency import Changed, locked
from khien.console.notifications.services import notify
from khien.console.units.folding import saying
from khien.console.units.scoping import scope_ids
from khien.flow.settings import EXCEPTIONS

CAPABILITY = "alerts.except"
DEFAULT_DAYS = 30
MOST_DAYS = 180
REMIND_BEFORE = timedelta(days=7)
_FILE = re.compile(r"\d+\.yml\Z")
_log = structlog.get_logger()


def folder() -> Path:
    """Where the live service looks for exceptions: a file each, named by its number."""
    return Path(settings.LIVE) / EXCEPTIONS


def demand_exceptions(by: User) -> None:
    """Raises Forbidden for a person who may not make exceptions: they silence a rule for all units."""
    demand(by, CAPABILITY)
    if scope_ids(by) is not None:
        raise Forbidden(CAPABILITY)


def may_except(user: User) -> bool:
    """Whether a person may make exceptions."""
    return user.may(CAPABILITY) and scope_ids(user) is None


def owners(by: User) -> QuerySet[User]:
    """The people who may answer for an exception."""
    return (
        User.objects.visible_to(by)
        .filter(is_active=True, role__in=roles_with(CAPABILITY), unit__kind__oversees=True)
        .order_by("name", "id")
    )


def title_for(alert: Alert, known: KnownRule) -> str:
    """What an exception from an alert is called unless somebody says otherwise."""
    title = f"{known.rule.title}: {alert.entity_value}" if alert.entity_value else known.rule.title
    return " ".join(title.split())[:200]


def make_exception(
    by: User,
    *,
    alert: Alert | None,
    known: KnownRule,
    index: RuleIndex,
    title: str,
    text: str,
    reason: str,
    owner: User,
    expires_at: datetime,
    preview: Mapping[str, Any] | None = None,
) -> RuleException:
    """Keep a rule silent for what a filter describes. Raises exception_drafts.Unusable, ValidationError."""
    demand_exceptions(by)
    _in_reach(expires_at)
    if not reason.strip():
        raise ValidationError(_("Say why this is harmless."))
    if not owners(by).filter(pk=owner.pk).exists():
        raise ValidationError(_("This person cannot own an exception."))
    check(text, known, index)
    with transaction.atomic():
        made = RuleException.objects.create(
            rule_id=known.rule.id,
            title=title.strip()[:200],
            text=text,
            reason=reason.strip(),
            owner=owner,
            alert=alert,
            expires_at=expires_at,
            preview=dict(preview or {}),
        )
        if alert is not None:
            AlertActivity.objects.create(
                alert=alert, by=by, kind="exception", text=made.title, data={"exception": made.pk}
            )
        after = {"rule": made.rule_id, "text": text, "reason": made.reason, "owner": owner.email}
        record(by, "exception.create", made, after={**after, "expires_at": expires_at})
        transaction.on_commit(_write_soon)
    return made


def prolong_exception(by: User, pk: int, version: int | None, expires_at: datetime, reason: str) -> RuleException:
    """Let an exception that is in force end at another time. Raises Changed, ValidationError."""
    demand_exceptions(by)
    _in_reach(expires_at)
    with transaction.atomic():
        found = locked(RuleException, pk, version, by=by)
        if found.ended_at is not None:
            raise Changed(found)
        before = {"expires_at": found.expires_at, "reason": found.reason}
        found.expires_at = expires_at
        found.reason = reason.strip() or found.reason
        found.reminded_at = None
        found.version += 1
        found.save()
        after = {"expires_at": expires_at, "reason": found.reason}
        record(by, "exception.prolong", found, before=before, after=after)
        transaction.on_commit(_write_soon)
    return found


def end_exception(by: User, pk: int, version: int | None) -> RuleException:
    """End an exception now: the rule fires again once the live service has looked at its rules. Raises Changed."""
    demand_exceptions(by)
    with transaction.atomic():
        found = locked(RuleException, pk, version, by=by)
        if found.ended_at is not None:
            raise Changed(found)
        found.ended_at = timezone.now()
        found.ended_by = by
        found.version += 1
        found.save()
        record(by, "exception.end", found, before={"ended_at": None}, after={"ended_at": found.ended_at})
        transaction.on_commit(_write_soon)
    return found


def _in_reach(expires_at: datetime) -> None:
    now = timezone.now()
    if expires_at <= now:
        raise ValidationError(_("The day it expires has to be in the future."))
    if expires_at > now + timedelta(days=MOST_DAYS + 1):
        raise ValidationError(_("An exception lasts at most %(most)s days.") % {"most": MOST_DAYS})


def in_force(now: datetime | None = None) -> QuerySet[RuleException]:
    """The exceptions that hold now."""
    return RuleException.objects.filter(ended_at=None, expires_at__gt=now or timezone.now())


def write_files() -> int:
    """Make the folder hold just the exceptions in force; how many files changed. Raises OSError."""
    place = folder()
    wanted = {f"{pk}.yml": text.encode("utf-8", "replace") for pk, text in in_force().values_list("pk", "text")}
    if not wanted and not place.is_dir():
        return 0
    place.mkdir(parents=True, exist_ok=True, mode=0o750)
    changed = 0
    for name, data in wanted.items():
        path = place / name
        if not path.is_file() or path.read_bytes() != data:
            _write(path, data)
            changed += 1
    for path in place.iterdir():
        if _FILE.match(path.name) and path.name not in wanted:
            path.unlink(missing_ok=True)
            changed += 1
    if changed:
        _sync(place)
    return changed


def is_written(found: RuleException) -> bool:
    """Whether the file of an exception stands where the live service reads it."""
    try:
        return (folder() / f"{found.pk}.yml").read_bytes() == found.text.encode("utf-8", "replace")
    except OSError:
        return False


def _write_soon() -> None:
    """Write at once; what fails is tried again by the chore, and the page of the exception says so."""
    try:
        write_files()
    except OSError as error:
        _log.error("exceptions not written", folder=str(folder()), error=str(error))


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: the live service may read the folder at any moment."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(0o640)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _sync(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def keep_exceptions() -> int:
    """A chore: end what has expired, remind owners a week before, and put the folder right."""
    now = timezone.now()
    due = RuleException.objects.filter(ended_at=None, expires_at__lte=now)
    done = sum(_expire(pk, now) for pk in list(due.values_list("pk", flat=True)))
    soon = RuleException.objects.filter(ended_at=None, reminded_at=None, expires_at__lte=now + REMIND_BEFORE)
    done += sum(_remind(pk, now) for pk in list(soon.filter(expires_at__gt=now).values_list("pk", flat=True)))
    return done + write_files()


def _expire(pk: int, now: datetime) -> int:
    with transaction.atomic():
        found = locked(RuleException, pk, None)
        if found.ended_at is not None or found.expires_at > now:
            return 0
        found.ended_at = now
        found.version += 1
        found.save()
        record(None, "exception.expire", found, after={"ended_at": now})
        _tell(
            found,
            "alert.exception_expired",
            gettext_noop("The exception “%(title)s” has expired: its rule fires again."),
        )
    return 1


def _remind(pk: int, now: datetime) -> int:
    with transaction.atomic():
        found = locked(RuleException, pk, None)
        if found.ended_at is not None or found.reminded_at is not None:
            return 0
        found.reminded_at = now
        found.save(update_fields=["reminded_at"])
        _tell(
            found,
            "alert.exception_expiring",
            gettext_noop("The exception “%(title)s” expires on %(date)s. Prolong it only if it is still harmless."),
        )
    return 1


def _tell(found: RuleException, kind: str, text: str) -> None:
    day = timezone.localtime(found.expires_at).strftime("%d/%m/%Y")
    params = {"title": found.title, "date": day}
    notify([found.owner], kind, text, params, url=reverse("alerts:exception", args=[found.pk]))


def similar(user: User, rule_id: str) -> QuerySet[RuleException]:
    """The exceptions of a rule that a person sees, those in force first."""
    rows = RuleException.objects.visible_to(user).filter(rule_id=rule_id).select_related("owner")
    return rows.order_by(F("ended_at").desc(nulls_first=True), "-id")


def matching(user: User, state: str, words: str) -> QuerySet[RuleException]:
    """The exceptions a person sees, by state (`active`, `soon`, `ended`, "" for all) and words they say."""
    rows = RuleException.objects.visible_to(user).select_related("owner", "ended_by", "alert")
    now = timezone.now()
    if state == "active":
        rows = rows.filter(ended_at=None, expires_at__gt=now)
    elif state == "soon":
        rows = rows.filter(ended_at=None, expires_at__gt=now, expires_at__lte=now + REMIND_BEFORE)
    elif state == "ended":
        rows = rows.filter(Q(ended_at__isnull=False) | Q(expires_at__lte=now))
    return rows.filter(saying(words))
