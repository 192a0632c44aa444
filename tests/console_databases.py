"""Databases that a test's own consoles use: a file in their data folder, or one of PostgreSQL's for each."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

CLUSTER = os.environ.get("KHIEN_DATABASE_URL", "")
"""What `tests/postgres.py` names; without it everything is SQLite."""
VENDOR = "postgresql" if CLUSTER.startswith("postgres") else "sqlite"
_numbers = count(1)


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
