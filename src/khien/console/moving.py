"""Moving the console's rows into another database, such as from SQLite to PostgreSQL.

Django is set up with the new database as `default`; the old one is opened beside it. All is written in one
transaction: the new database has everything, or nothing. The search words of alerts are made anew from their events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection, connections, models, transaction

from khien.console.alerts import content
from khien.console.alerts.models import AlertFinding
from khien.console.audit.append_only import install, remove
from khien.errors import KhienError

_OLD = "old"
_PORTION = 2_000


class MoveError(KhienError):
    """The rows cannot be moved."""


def open_old(settings: dict[str, Any]) -> None:
    """Make the old database known. `settings`: as in Django's DATABASES."""
    connections.settings[_OLD] = {**connections.settings["default"], "OPTIONS": {}, **settings}


def move(tell: Callable[[str, int], None] = lambda name, count: None) -> int:
    """Copy every row of every table; how many. Raises MoveError when somebody is in the new database already.

    `tell` is called with a table's name and its number of rows when it is done.
    """
    call_command("migrate", interactive=False, verbosity=0)
    kinds = [each for each in apps.get_models(include_auto_created=True) if each._meta.managed and not each._meta.proxy]
    user = apps.get_model("accounts", "User")
    if user._base_manager.exists():
        raise MoveError("the new database has people in it already", "", "Give an empty one")
    total = 0
    with transaction.atomic(using=_OLD), transaction.atomic():
        remove(connection)
        _empty(kinds)
        for kind in kinds:
            count = _copy(kind)
            total += count
            tell(kind._meta.db_table, count)
        _index_alerts()
        install(connection)
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), kinds):
                cursor.execute(statement)
            connection.check_constraints()
    return total


def _empty(kinds: Iterable[type[models.Model]]) -> None:
    """Delete what migrations put in: the old database has its own."""
    with connection.cursor() as cursor:
        tables = [connection.ops.quote_name(kind._meta.db_table) for kind in kinds]
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(tables)}")
            return
        cursor.execute("PRAGMA defer_foreign_keys=ON")
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - a model's table


def _copy(kind: type[models.Model]) -> int:
    fields = [each for each in kind._meta.concrete_fields if not each.generated]
    automatic = [each for each in fields if getattr(each, "auto_now", False) or getattr(each, "auto_now_add", False)]
    kept = [(each, each.auto_now, each.auto_now_add) for each in automatic]  # type: ignore[attr-defined]
    for each in automatic:  # times stay what they were
        each.auto_now = each.auto_now_add = False  # type: ignore[attr-defined]
    try:
        count = 0
        for rows in _portions(kind._base_manager.using(_OLD).order_by("pk").iterator(chunk_size=_PORTION)):
            for row in rows:
                row._state.db = None
            kind._base_manager.using("default").bulk_create(rows, batch_size=_PORTION)
            count += len(rows)
        return count
    finally:
        for each, now, add in kept:
            each.auto_now, each.auto_now_add = now, add  # type: ignore[attr-defined]


def _portions(rows: Iterator[models.Model]) -> Iterator[list[models.Model]]:
    portion: list[models.Model] = []
    for row in rows:
        portion.append(row)
        if len(portion) == _PORTION:
            yield portion
            portion = []
    if portion:
        yield portion


def _index_alerts() -> None:
    findings = AlertFinding.objects.select_related("alert").order_by("alert_id", "position")
    for rows in _portions(findings.iterator(chunk_size=_PORTION)):
        content.add(
            (
                content.row_of(row.alert_id, row.position),
                content.words_of_finding(f"{row.alert.title} {row.alert.entity_value}", row.record),
            )
            for row in rows
        )
