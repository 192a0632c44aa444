"""What all tests share: where the reference data is, and which database the console is tested on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from console_databases import VENDOR, OwnDatabase
from console_databases import own_databases as making

# A busy machine is slow to draw examples; that says nothing about the code.
settings.register_profile("khien", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("khien")

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("KHIEN_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def sigma_data() -> Path:
    """The folder with the SigmaHQ rules and regression cases; skips where it is not there."""
    folder = SHARED / "data" / "sigma"
    if not folder.is_dir():
        pytest.skip(f"the Sigma reference data is not at {folder}; set KHIEN_SHARED")
    return folder


@pytest.fixture(scope="session")
def otrf_data() -> Path:
    """The folder with recorded telemetry; skips where it is not there."""
    folder = SHARED / "data" / "otrf"
    if not folder.is_dir():
        pytest.skip(f"the recorded telemetry is not at {folder}; set KHIEN_SHARED")
    return folder


ASK_FOR_A_DATABASE = {"db", "transactional_db", "django_db_setup", "live_server", "own_databases"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark with `database` what asks for one, by a mark or a fixture: those run on PostgreSQL too."""
    for item in items:
        if item.get_closest_marker("django_db") or not ASK_FOR_A_DATABASE.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.database)


@pytest.fixture
def own_databases() -> Iterator[Callable[[], OwnDatabase]]:
    """`make()`: an empty database for a console that the test starts; several where it starts several."""
    with making() as make:
        yield make


@pytest.fixture
def own_database(own_databases: Callable[[], OwnDatabase]) -> OwnDatabase:
    """An empty database for the console that the test starts."""
    return own_databases()


@pytest.fixture
def sqlite_console(tmp_path: Path) -> Path:
    """The data folder of a console that is on SQLite whatever the others are tested on."""
    return tmp_path / "console"


@pytest.fixture(autouse=True)
def on_the_database_meant(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test uses SQLite where PostgreSQL is meant, and none starts a console that PostgreSQL's run would miss."""
    names = request.fixturenames
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in names else None
    if request.node.get_closest_marker("database"):
        from django.db import connection

        assert connection.vendor == VENDOR
    yield
    may_be_there = "sqlite_console" in names or (VENDOR == "sqlite" and "own_databases" in names)
    if folder is not None and not may_be_there:
        assert list(folder.rglob("console.db")) == [], "a console here has no database by `own_database`"
