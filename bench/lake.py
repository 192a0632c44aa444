"""How fast the lake takes in, searches and how small it keeps events: `python bench/lake.py [--quick] [--json FILE]`.

Builds a lake out of recorded Windows events (see `--lane`), as dense in time as 50 million events in 30 days, with many
hosts, and asks what analysts ask. `--events` and `--days` set the size: what was built stands above the table. The
recording is repeated; repeats lie farther apart than compression looks back. Some rare words are planted.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from khien.lake import upkeep
from khien.lake.checking import check
from khien.lake.query import Limits, query
from khien.lake.schema import EVENT_SCHEMA, EVENTS
from khien.lake.search import search
from khien.lake.search_language import parse
from khien.lake.store import Lake
from lanes import windows_lane

BATCH = 50_000
RECORDED_BYTES = 1_000_000_000
DENSITY = 50_000_000 / 30
END = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
COPIES = 20
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
NEEDLE = "quetzal-7731.example"
COLUMNS = (
    "logsource",
    "host",
    "user",
    "src_ip",
    "dst_ip",
    "process",
    "command_line",
    "domain",
    "file_hash",
    "event_id",
    "event",
)


def main() -> int:
    options = _options()
    days = options.days or (7 if options.quick else 30)
    events = options.events or (300_000 if options.quick else round(days * DENSITY))
    keep = options.lake is not None
    root = options.lake or Path(tempfile.mkdtemp(prefix="khien-bench-lake-"))
    figures: dict[str, Any] = {"events": events, "days": days}
    try:
        print(
            f"machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, DuckDB {duckdb.__version__}"
        )
        if not (root / "events" / "_delta_log").exists():
            with tempfile.TemporaryDirectory() as made:
                lane = options.lane or windows_lane(
                    Path(made), RECORDED_BYTES // 4 if options.quick else RECORDED_BYTES
                )
                build(root, lane, events, days, 100_000 if options.quick else 400_000, figures)
        lake = Lake(root)
        files = lake.files(EVENTS)
        rows, size = sum(file.rows for file in files), sum(file.size for file in files)
        sketches = sum(each[1] for each in lake.storage.walk("events/_sketch"))
        figures |= {"rows": rows, "files": len(files), "bytes": size, "sketch_bytes": sketches}
        print(
            f"\nlake: {rows:,} events of {days} days in {len(files)} files, {size / 1e6:,.0f} MB, sketches {sketches / 1e6:,.0f} MB"
        )
        figures["queries"] = ask(lake, root, commands=not options.quick)
        cost(figures)
    finally:
        if not keep:
            shutil.rmtree(root, ignore_errors=True)
    figures["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small lake, at most 45 s")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--lane", type=Path, help="a file of Windows events as JSON lines; default: recorded ones")
    parser.add_argument("--events", type=int, help="how many events (default: as dense as 50 million in 30 days)")
    parser.add_argument("--days", type=int, help="of how many days (default 30)")
    parser.add_argument("--lake", type=Path, help="build it here and keep it, or ask the one that is here")
    return parser.parse_args()


def recorded(lane: Path, count: int) -> pa.Table:
    """The recording as rows without times."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    with lane.open("rb") as lines:
        for line in itertools.islice(lines, count):
            event = orjson.loads(line)
            channel = str(event.get("Channel", "")).lower()
            service = next((each for each in ("sysmon", "security", "powershell") if each in channel), "other")
            columns["logsource"].append(f"windows-{service}")
            columns["host"].append(event.get("Hostname"))
            columns["user"].append(event.get("User") or event.get("AccountName"))
            columns["src_ip"].append(event.get("SourceIp") or event.get("IpAddress"))
            columns["dst_ip"].append(event.get("DestinationIp") or event.get("DestAddress"))
            columns["process"].append(event.get("Image") or event.get("NewProcessName"))
            columns["command_line"].append(event.get("CommandLine"))
            columns["domain"].append(event.get("QueryName"))
            columns["file_hash"].append(event.get("Hashes"))
            columns["event_id"].append(str(event.get("EventID")))
            columns["event"].append(line.rstrip().decode())
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def batches(base: pa.Table, events: int, days: int) -> Iterator[pa.Table]:
    """Rows a batch at a time, oldest first: evenly over the days, each batch of other copies of the hosts."""
    step = days * 86_400_000_000 // events
    start = round(END.timestamp() * 1e6) - step * events
    for number, at in enumerate(range(0, events, BATCH)):
        count = min(BATCH, events - at)
        begin = at % max(1, base.num_rows - BATCH)
        rows = base.slice(begin, count)
        count = rows.num_rows
        micros = pa.array(range(start + at * step, start + (at + count) * step, step), pa.int64())
        moments = micros.cast(EVENT_SCHEMA.field("time").type)
        copies = pa.array([f"-{(number + row // 2500) % COPIES:02d}" for row in range(count)])
        texts = rows["event"]
        if number % 25 == 3:  # plant a rare word in one event of a million or so
            planted = texts.slice(0, 1)[0].as_py()[:-1] + f',"Planted":"http://{NEEDLE}/a?x={number}"}}'
            texts = pa.chunked_array([pa.array([planted]), *texts.slice(1).chunks])
        columns = {
            "day": moments.cast(pa.date32()),
            "time": moments,
            "received": pc.add(micros, 700_000).cast(EVENT_SCHEMA.field("received").type),
            "source": pa.array(["wec"] * count),
            "unit": pc.binary_join_element_wise("unit", copies, ""),
            "host": pc.binary_join_element_wise(rows["host"], copies, ""),
            "event": texts,
            "spool": pa.array([f"0:{number}.{row}" for row in range(count)]),
        }
        given = {
            name: columns.get(name, rows[name] if name in COLUMNS else pa.nulls(count, pa.string()))
            for name in EVENT_SCHEMA.names
        }
        yield pa.table(given, schema=EVENT_SCHEMA)


def build(root: Path, lane: Path, events: int, days: int, recording: int, figures: dict[str, Any]) -> None:
    base = recorded(lane, recording)
    raw = pc.mean(pc.binary_length(base["event"])).as_py()
    lake = Lake(root)
    spent = 0.0
    for number, batch in enumerate(batches(base, events, days)):
        begin = time.perf_counter()
        lake.append_events(batch, app="0", version=number)
        spent += time.perf_counter() - begin
    appended = sum(file.size for file in lake.files(EVENTS))
    begin = time.perf_counter()
    done = upkeep.compact(lake, today=END.date() + dt.timedelta(days=1))
    compacted = time.perf_counter() - begin
    upkeep.vacuum(lake, hours=0)
    begin = time.perf_counter()
    clean = check(lake).clean
    checked = time.perf_counter() - begin
    figures |= {
        "raw_bytes_per_event": raw,
        "append_events_per_s": events / spent,
        "append_s_per_batch": spent / (events / BATCH),
        "compact_events_per_s": events / compacted,
        "check_s": checked,
        "clean": clean,
    }
    print(f"recorded: {base.num_rows:,} events of {raw:,.0f} bytes; appended: {events:,} in {spent:.0f} s, {events / spent:,.0f} events/s, "
          f"{spent / (events / BATCH):.2f} s a batch of {BATCH:,}, {raw * events / appended:.1f} times smaller")  # fmt: skip
    print(
        f"compacted {done.files_before} files to {done.files_after} in {compacted:.0f} s ({events / compacted:,.0f} events/s); check: {'clean' if clean else 'NOT CLEAN'}, {checked:.1f} s"
    )


def ask(lake: Lake, root: Path, *, commands: bool) -> list[dict[str, Any]]:
    """Time the questions: first run and best of three, in the process; and the whole command once."""
    host = search(lake, parse("event_id:1", END, ZONE), limit=1)["host"][0].as_py()
    hour = f"since:{(END - dt.timedelta(hours=30)).isoformat()} until:{(END - dt.timedelta(hours=29)).isoformat()}"
    questions: list[tuple[str, str, float | None]] = [
        ("last 24 h by host", f"host:{host} since:24h", 1.0),
        ("one host's hour", f"host:{host} {hour}", 0.5),
        ("substring over 7 days, rare", f'"{NEEDLE}" since:7d', 5.0),
        ("substring over 7 days, nowhere", '"sekurlsa::logonpasswordz" since:7d', 5.0),
        ("substring over 7 days, frequent", '"powershell" since:7d', 5.0),
        ("substring over 7 days, short and nowhere", '"%~q" since:7d', 5.0),
        ("field of the event over 7 days, nowhere", "TargetObject:*qwxz* since:7d", None),
        ("address range over 7 days", "src_ip:203.0.113.0/24 since:7d", None),
    ]
    answers = []
    print(f"\n{'question':<42}{'hits':>6}{'first s':>9}{'best s':>8}{'command s':>11}{'bound s':>9}")
    for what, text, bound in questions:
        wanted = parse(text, END, ZONE)
        spans, hits = timed(lambda wanted=wanted: search(lake, wanted, limit=100).num_rows)
        command = whole_command(text, root) if commands or not answers else None
        answers.append(
            {
                "what": what,
                "search": text,
                "hits": hits,
                "first_s": spans[0],
                "best_s": min(spans),
                "command_s": command,
                "bound_s": bound,
            }
        )
        print(
            f"{what:<42}{hits:>6}{spans[0]:>9.2f}{min(spans):>8.2f}{'' if command is None else f'{command:.2f}':>11}{bound or '':>9}"
        )
    sql = "SELECT host, count(*) FROM events WHERE day >= DATE '2026-11-19' GROUP BY host ORDER BY 2 DESC"
    spans, hits = timed(lambda: run_sql(lake, sql))
    answers.append({"what": "SQL: events of a day by host", "hits": hits, "first_s": spans[0], "best_s": min(spans)})
    print(f"{'SQL: events of a day by host':<42}{hits:>6}{spans[0]:>9.2f}{min(spans):>8.2f}")
    return answers


def whole_command(text: str, root: Path) -> float:
    """Seconds of `khien search` from start to end. Its "now" is not the bench's: spans become moments."""
    for span, hours in (("since:24h", 24), ("since:7d", 168)):
        text = text.replace(span, f"since:{(END - dt.timedelta(hours=hours)).isoformat()}")
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "khien.cli.main", "search", text, "--lake", str(root)], check=True, capture_output=True
    )
    return time.perf_counter() - begin


def run_sql(lake: Lake, sql: str) -> int:
    with query(lake, sql, Limits()) as reader:
        return reader.read_all().num_rows


def timed(run: Callable[[], int]) -> tuple[list[float], int]:
    spans, hits = [], 0
    for _ in range(3):
        begin = time.perf_counter()
        hits = run()
        spans.append(time.perf_counter() - begin)
    return spans, hits


def cost(figures: dict[str, Any]) -> None:
    """What a day costs on disk, by rate."""
    each = (figures["bytes"] + figures["sketch_bytes"]) / max(1, figures["rows"])
    figures["bytes_per_event"] = each
    print(f"\non disk: {each:.0f} bytes an event")
    print(f"{'events/s':>10}{'a day':>12}{'90 days':>12}{'a year':>12}")
    for rate in (100, 1_000, 5_000, 20_000):
        day = rate * 86_400 * each / 1e9
        print(f"{rate:>10,}{day:>9.1f} GB{day * 90:>9,.0f} GB{day * 365:>9,.0f} GB")


if __name__ == "__main__":
    sys.exit(main())
