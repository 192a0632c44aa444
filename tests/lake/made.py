"""Rows for tests of the lake, with what matters given and the rest made up."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pyarrow as pa

from khien.lake.schema import EVENT_SCHEMA, FINDING_SCHEMA

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


def event_row(**given: Any) -> dict[str, Any]:
    time = given.get("time", NOON)
    row: dict[str, Any] = {
        "day": time.date(),
        "logsource": "windows-sysmon",
        "time": time,
        "received": time + dt.timedelta(seconds=1),
        "source": "agent",
        "event": {},
    }
    row |= given
    if not isinstance(row["event"], str):
        row["event"] = json.dumps(row["event"], ensure_ascii=False, separators=(",", ":"))
    return row


def events(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([event_row(**row) for row in rows], schema=EVENT_SCHEMA)


def many(count: int, lane: str, start: dt.datetime = NOON, **given: Any) -> pa.Table:
    """Events a second apart, newest last, with spool positions of the lane."""
    return events(
        *(
            {
                "time": start + dt.timedelta(seconds=at),
                "spool": f"{lane}:{at}",
                "host": f"host{at % 7}",
                "event": {"EventID": at % 5, "Line": f"event {at} of lane {lane}"},
                **given,
            }
            for at in range(count)
        )
    )


def findings(*rows: dict[str, Any]) -> pa.Table:
    made = []
    for at, row in enumerate(rows):
        time = row.get("time", NOON) or NOON
        made.append({"day": time.date(), "finding_id": f"f{at}", "time": time, "title": "Suspicious", **row})
    return pa.Table.from_pylist(made, schema=FINDING_SCHEMA)
