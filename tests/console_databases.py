"""The databases of processes that a test starts: that of the tests, or one of their own, on SQLite or PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from django.conf import settings
from django.db import connection

CLUSTER = os.environ.get("KHIEN_DATABASE_URL", "")
"""What `tests/postgres.py` names; without it everything is SQLite."""
VENDOR = "postgresql" if CLUSTER.startswith("postgres") else "sqlite"
_numbers = count(1)


def _of_the_tests() -> str:
    told = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{told['NAME']}"
    host, user = quote(str(told["HOST"]), safe=""), quote(str(told["USER"]), safe="")
    secret = f":{quote(str(told['PASSWORD']), safe='')}" if told["PASSWORD"] else ""
    return f"postgres://{user}{secret}@{host}{':' + str(told['PORT']) if told['PORT'] else ''}/{told['NAME']}"


def as_the_tests() -> dict[str, str]:
    """The environment of a process that works on the database of the tests, with their settings and folders."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "console_settings",
        "PYTHONPATH": str(Path(__file__).resolve().parent),
        "KHIEN_TEST_DATA": str(settings.DATA),
        "KHIEN_LIVE_DATA": str(settings.LIVE),
        "KHIEN_DATABASE_URL": _of_the_tests(),
    }


@dataclass(frozen=True)
class OwnDatabase:
    """`environment`: what a process that is to use it gets besides; nothing where it is the data folder's file."""

    name: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address as processes are told it; "" for the data folder's file."""
        return self.environment.get("KHIEN_DATABASE_URL", "")

    def rows(self, data: Path, query: str) -> list[tuple[Any, ...]]:
        """What a query gives, of the console with this data folder."""
        if self.url:
            with psycopg.connect(self.url) as server:
                return list(server.execute(query))
        with closing(sqlite3.connect(data / "console.db")) as file:
            return list(file.execute(query))


def _made() -> OwnDatabase:
    if VENDOR == "sqlite":
        return OwnDatabase()
    name = f"khien_own_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(CLUSTER, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    return OwnDatabase(name, {"KHIEN_DATABASE_URL": f"{CLUSTER.rpartition('/')[0]}/{name}"})


@contextmanager
def own_databases() -> Iterator[Callable[[], OwnDatabase]]:
    """`make()`: an empty database; all are dropped at the end."""
    made: list[OwnDatabase] = []

    def make() -> OwnDatabase:
        made.append(_made())
        return made[-1]

    try:
        yield make
    finally:
        names = [each.name for each in made if each.name]
        if names:
            with psycopg.connect(CLUSTER, autocommit=True) as server:
                for name in names:
                    server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
