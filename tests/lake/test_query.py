from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest

from khien.lake.errors import QueryError
from khien.lake.query import Limits, query
from khien.lake.store import Lake
from lake.made import NOON, events, findings


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    lake.append_events(
        events(
            {
                "host": "web01",
                "event": {"EventID": 13, "TargetObject": "HKLM\\Run", "a": {"b": "deep"}},
                "spool": "0:1",
            },
            {
                "host": "web02",
                "event": {"EventID": 1, "x.y": "flat"},
                "time": NOON + dt.timedelta(days=1),
                "spool": "0:2",
            },
        ),
        app="a",
        version=0,
    )
    lake.append_findings(findings({"host": "web01", "level": "high", "tags": ["attack.t1547"]}), app="a", version=0)
    return lake


def ask(lake: Lake, sql: str, **limits: Any) -> list[dict[str, Any]]:
    with query(lake, sql, Limits(**limits)) as reader:
        return reader.read_all().to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT count(*) AS n FROM events", [{"n": 2}]),
        ("SELECT count(*) AS n FROM findings", [{"n": 1}]),
        ("SELECT TargetObject FROM events WHERE EventID = '13'", [{"TargetObject": "HKLM\\Run"}]),
        ("SELECT e.TargetObject AS t FROM events AS e WHERE e.host = 'web01'", [{"t": "HKLM\\Run"}]),
        ("SELECT \"a.b\" AS d FROM events WHERE host = 'web01'", [{"d": "deep"}]),
        ("SELECT \"x.y\" AS f FROM events WHERE host = 'web02'", [{"f": "flat"}]),
        ("SELECT event ->> 'EventID' AS e FROM events ORDER BY time", [{"e": "13"}, {"e": "1"}]),
        (
            "SELECT lower(host) AS h, count(*) AS n FROM events GROUP BY h ORDER BY h",
            [{"h": "web01", "n": 1}, {"h": "web02", "n": 1}],
        ),
        ("WITH x AS (SELECT host FROM events) SELECT count(*) AS n FROM x", [{"n": 2}]),
        ("SELECT f.level FROM findings f JOIN events e ON f.host = e.host", [{"level": "high"}]),
        ("SELECT host FROM events WHERE day = DATE '2026-11-21'", [{"host": "web02"}]),
        ("SELECT host FROM events WHERE time < TIMESTAMPTZ '2026-11-20 23:00+07:00'", [{"host": "web01"}]),
        ("SELECT unnest(tags) AS tag FROM findings", [{"tag": "attack.t1547"}]),
        ("SELECT sum(range) AS s FROM range(4)", [{"s": 6}]),
        ("VALUES (1)", [{"col0": 1}]),
    ],
)
def test_a_select_over_the_tables_is_answered(lake: Lake, sql: str, rows: list[dict[str, Any]]) -> None:
    assert ask(lake, sql) == rows


def test_describe_and_explain_are_answered(lake: Lake) -> None:
    assert ask(lake, "DESCRIBE events")[0]["column_name"] == "day"
    assert "Read Parquet" in ask(lake, "EXPLAIN SELECT * FROM events")[0]["explain_value"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'https://example.org/x.parquet'",
        "SELECT (SELECT count(*) FROM read_blob('/etc/passwd'))",
        "WITH x AS (SELECT * FROM read_text('/etc/hostname')) SELECT * FROM x",
        "EXPLAIN ANALYZE SELECT * FROM read_text('/etc/hostname')",
        "DESCRIBE SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('events')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM information_schema.tables",
        "COPY events TO '/tmp/stolen.csv'",
        "COPY (SELECT 1) TO '/tmp/stolen.csv'",
        "EXPORT DATABASE '/tmp/stolen'",
        "ATTACH '/tmp/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "CREATE TABLE t AS SELECT 1",
        "CREATE MACRO m() AS 1",
        "DROP VIEW events",
        "INSERT INTO events SELECT * FROM events",
        "DELETE FROM events",
        "UPDATE events SET host = 'x'",
        "CALL pragma_version()",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW events",
        "",
        "SELEC 1",
        "SELECT getenv('HOME')",
        "SELECT * FROM nowhere",
    ],
)
def test_what_is_not_a_select_over_the_tables_is_refused(lake: Lake, sql: str) -> None:
    with pytest.raises(QueryError):
        ask(lake, sql)


def test_a_query_that_takes_too_long_is_stopped(lake: Lake) -> None:
    begin = time.monotonic()
    with pytest.raises(QueryError, match=r"longer than 0\.5 s"):
        ask(lake, "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b", seconds=0.5)
    assert time.monotonic() - begin < 10


def test_a_query_that_needs_too_much_memory_is_stopped(lake: Lake) -> None:
    with pytest.raises(QueryError, match="more memory"):
        ask(lake, "SELECT list(repeat('x', 1000) || range) FROM range(10000000)", memory_mb=64)


def test_rows_past_the_limit_are_not_given(lake: Lake) -> None:
    assert len(ask(lake, "SELECT * FROM range(100000)", rows=7)) == 7
    assert ask(lake, "SELECT host FROM events ORDER BY time DESC", rows=1) == [{"host": "web02"}]


def test_bounds_leave_files_out(lake: Lake) -> None:
    day = round((NOON + dt.timedelta(days=1)).timestamp() * 1e6)
    assert ask(lake, "SELECT host FROM events", since=day) == [{"host": "web02"}]
    assert ask(lake, "SELECT host FROM events", until=day - 1) == [{"host": "web01"}]


def test_an_empty_lake_answers(tmp_path: Path) -> None:
    assert ask(Lake(tmp_path), "SELECT count(*) AS n, max(Image) AS i FROM events") == [{"n": 0, "i": None}]
