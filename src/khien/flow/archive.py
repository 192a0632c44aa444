"""Findings on their way into the lake, in batches."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import structlog

from khien.alerts.live_finding import LiveFinding
from khien.errors import KhienError
from khien.events.timestamps import parse_time
from khien.flow.rows import plausible
from khien.flow.settings import FlowSettings
from khien.lake.schema import FINDING_SCHEMA, FINDINGS
from khien.lake.store import Lake

_MOST = 20_000
_TEXTS = ("rule_id", "title", "level", "status", "host", "user", "path")
_JSON = ("matched", "event", "events")
_log = structlog.get_logger()


class FindingArchive:
    """Appends a lane's findings to the lake. `stored`: the last parcel whose findings are there for good."""

    def __init__(self, settings: FlowSettings, lane: int) -> None:
        self._app = f"khien-findings-{lane:02d}"
        self._every = settings.store_seconds
        self._lake = Lake(settings.lake_root, settings.lake_options or None)
        self.stored = self._lake.version(self._app, FINDINGS) or 0
        self._last = self.stored
        self._waiting: list[LiveFinding] = []
        self._since = time.monotonic()
        self._not_before = 0.0

    def add(self, sequence: int, findings: list[LiveFinding]) -> None:
        """Take the findings of a parcel; those of one that is in the lake already are passed over."""
        if sequence > self.stored:
            self._waiting += findings
            self._last = sequence

    def look(self) -> None:
        """Append what waits if it is enough, or has waited long enough."""
        now = time.monotonic()
        due = len(self._waiting) >= _MOST or now - self._since >= self._every
        if due and self._last > self.stored and now >= self._not_before:
            try:
                self.flush()
            except (KhienError, OSError) as error:
                self._not_before = now + 5.0
                _log.error("findings not in the lake yet", error=str(error))

    def flush(self) -> None:
        """Append what waits. Raises LakeError or OSError; it waits on then."""
        if self._last > self.stored:
            if self._waiting:
                self._lake.append_findings(finding_rows(self._waiting), app=self._app, version=self._last)
            self.stored = self._last
            self._waiting = []
        self._since = time.monotonic()


def finding_rows(findings: list[LiveFinding]) -> pa.Table:
    """Findings as rows of FINDING_SCHEMA. A time that cannot be, as `RowMaker` judges those of events, is none."""
    columns: dict[str, list[Any]] = {field.name: [] for field in FINDING_SCHEMA}
    for finding in findings:
        record = orjson.loads(finding.record)
        moment = parse_time(record["time"])
        if moment is not None and not plausible(moment, finding.received):
            moment = None
        when = datetime.fromtimestamp((moment if moment is not None else finding.received) / 1e6, UTC)
        columns["day"].append(when.date())
        columns["finding_id"].append(finding.id)
        columns["time"].append(when if moment is not None else None)
        columns["tags"].append(record["tags"])
        columns["logsource"].append("/".join(part for part in record["logsource"].values() if part))
        columns["source"].append(finding.source)
        columns["unit"].append(finding.unit)
        columns["record"].append(record["record"])
        for name in _TEXTS:
            columns[name].append(record[name])
        for name in _JSON:
            columns[name].append(orjson.dumps(record[name]).decode() if name in record else None)
    return pa.table(columns, schema=FINDING_SCHEMA)
