"""The address of the database, as an operator writes it into KHIEN_DATABASE_URL. Needs none of Django's settings."""

from __future__ import annotations

from typing import Any

import dj_database_url

from khien.errors import UsageError

SETTING = "KHIEN_DATABASE_URL"
_ENGINES = ("django.db.backends.sqlite3", "django.db.backends.postgresql")


def parts_of(address: str, *, where: str = SETTING, **options: Any) -> dict[str, Any]:
    """What Django's DATABASES has for it; `where` it was written. Raises UsageError for what is none of the two.

    The address itself is not told: there may be a password in it.
    """
    try:
        found = dict(dj_database_url.parse(address, **options))
    except ValueError:  # of the library too: it tells of databases that the console does not know
        found = {}
    if found.get("ENGINE") not in _ENGINES:
        scheme, colon, _rest = address.partition("://")
        said = f"this is no address of a database: it begins with {scheme}://" if colon else ""
        remedy = "Write postgres://user:password@host/name, or leave it out for SQLite in the data folder"
        raise UsageError(said or "this is no address of a database: it does not begin with postgres://", where, remedy)
    return found
