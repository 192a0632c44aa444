"""The settings page: how the console is, for who manages it. Settings themselves are the environment's."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import number_format
from django.views.decorators.http import require_GET

from khien import __version__
from khien.console.accounts.access import Forbidden, needs
from khien.console.files.models import StoredFile
from khien.console.incidents import catalogue
from khien.console.notifications.models import Mail, MailState
from khien.console.units.office import office
from khien.console.units.scoping import scope_ids
from khien.console.upkeep import health
from khien.errors import KhienError
from khien.flow.status import read_all

_SILENT = 30.0
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Size:
    """Something that takes room. `free`: what its disk has left, in bytes; None where that is not known."""

    name: str
    place: str
    size: int | None
    free: int | None = None

    @property
    def takes(self) -> str:
        """Its size in words."""
        return in_words(self.size)

    @property
    def left(self) -> str:
        """What its disk has left, in words."""
        return in_words(self.free)


def in_words(size: int | None) -> str:
    """Bytes in their largest fitting unit."""
    if size is None:
        return "–"
    value, at = float(size), 0
    while value >= 1000 and at < len(_UNITS) - 1:
        value, at = value / 1000, at + 1
    return f"{number_format(value, decimal_pos=0 if at == 0 else 1, force_grouping=True)} {_UNITS[at]}"


@require_GET
@needs("settings.manage")
def console_settings(request: HttpRequest) -> HttpResponse:
    """Version, database, chores, live service, mail, room, catalogues: the server's, so for who sees all units."""
    if scope_ids(request.user) is not None:
        raise Forbidden("settings.manage")
    chores = health.chores()
    context = {
        "version": __version__,
        "address": settings.ADDRESS,
        "database": _database(),
        "office": office(),
        "worker": health.worker(),
        "chores": chores,
        "chore_problems": sum(1 for each in chores if each.problem),
        "live": _live(),
        "live_folder": settings.LIVE,
        "mail": _mail(request),
        "sizes": _sizes(),
        "catalogues": _catalogues(),
        "catalogue_problems": catalogue.problems(),
    }
    return render(request, "frame/settings.html", context)


def _database() -> dict[str, Any]:
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(connection.vendor, connection.vendor)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SHOW server_version")
        else:
            cursor.execute("SELECT sqlite_version()")
        return {"name": name, "version": cursor.fetchone()[0]}


def _live() -> list[dict[str, Any]]:
    now = time.time()
    return [
        {
            "name": each.name,
            "seen": datetime.fromtimestamp(each.at / 1e6, UTC),
            "silent": now - each.at / 1e6 > _SILENT,
            "events": each.events,
            "rate": round(each.rate) if now - each.at / 1e6 <= _SILENT else None,
            "lag": each.lag_seconds,
            "error": each.error,
        }
        for each in read_all(Path(settings.LIVE) / "status")
    ]


def _mail(request: HttpRequest) -> dict[str, Any]:
    day = timezone.now() - timedelta(days=1)
    mails = Mail.objects.visible_to(request.user)
    waiting = mails.filter(state=MailState.WAITING)
    return {
        "server": f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}" if settings.EMAIL_HOST else "",
        "folder": settings.EMAIL_FILE_PATH,
        "sender": settings.DEFAULT_FROM_EMAIL,
        "sent": mails.filter(state=MailState.SENT, created_at__gt=day).count(),
        "waiting": waiting.count(),
        "failed": mails.filter(state=MailState.FAILED).count(),
        "error": waiting.exclude(error="").order_by("-next_try_at").values_list("error", flat=True).first() or "",
    }


def _sizes() -> list[Size]:
    found = []
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_database(), pg_database_size(current_database())")
            name, size = cursor.fetchone()
        found.append(Size("database", str(name), size))
    else:
        path = Path(str(settings.DATABASES["default"]["NAME"]))
        size = sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*") if each.is_file())
        found.append(Size("database", str(path), size, _free(path.parent)))
    kept = StoredFile.objects.values("sha256").annotate(size=Max("size")).aggregate(total=Sum("size"), n=Count("*"))
    folder = Path(settings.DATA) / "files"
    found.append(Size("files", str(folder), kept["total"] or 0, _free(Path(settings.DATA))))
    found.append(Size("live", str(settings.LIVE), None, _free(Path(settings.LIVE))))
    return found


def _free(folder: Path) -> int | None:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free
    return None


def _catalogues() -> list[dict[str, Any]]:
    today = timezone.localdate()
    found: list[Any] = []
    with contextlib.suppress(KhienError):
        found = [catalogue.rsit(), *catalogue.clock_rulesets(today), *catalogue.playbooks(today)]
    return [{"name": each.ruleset, "from": each.effective_from, "source": each.source} for each in found]
