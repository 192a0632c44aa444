"""How fast the hunt is, next to the time that DuckDB alone needs to parse the same bytes.

    python bench/hunt.py [--quick] [--json FILE] [--lanes DIR] [--rules DIR]...

Lanes are files of JSON lines: `windows.ndjson` and `process.ndjson` in DIR (default: made from the
recordings beside the Sigma reference data). Prints events/s, MB/s and peak memory for each, rule
loading, EVTX, two workers, and the cost of all rules against a hundred. `--quick` takes the first
part of each lane and ends within 45 seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("KHIEN_SHARED", ROOT.parent / "shared"))
KHIEN = Path(sys.executable).with_name("khien")
QUICK_BYTES = 120_000_000


def parse_seconds(lane: Path) -> float:
    """The time of DuckDB on one thread: every field of the lane as a VARCHAR column, into a table."""
    import duckdb

    names: dict[str, str] = {}
    with lane.open("rb") as stream:
        for line in stream:
            for name in json.loads(line):
                names.setdefault(name.lower(), name)
    columns = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}': 'VARCHAR'" for name in names.values())
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False, "threads": 1}
    )
    started = time.perf_counter()
    connection.execute(
        f"create table lane as select * from read_json('{lane}', format='newline_delimited', columns={{{columns}}})"
    )
    return time.perf_counter() - started


def hunt(lane: Path, rules: list[str], jobs: int = 1) -> dict[str, Any]:
    """One hunt in a process of its own, from its start to its last finding written."""
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as out:
        command = [str(KHIEN), "hunt", str(lane), *rules, "--output", out.name, "--jobs", str(jobs)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode not in (0, 3):
            sys.exit(done.stderr)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        findings = Path(out.name).read_bytes().count(b"\n")
    del before
    return {"seconds": seconds, "findings": findings, "peak_mb": after.ru_maxrss / 1024}


def load_seconds(rules: list[str]) -> tuple[float, float]:
    """Cold and cached start to the first event: a hunt through one line, with and without a cache."""
    with tempfile.TemporaryDirectory() as folder:
        event = Path(folder) / "one.ndjson"
        event.write_text('{"EventID": 1, "Channel": "none"}\n')
        times = []
        for _ in range(2):
            started = time.perf_counter()
            subprocess.run(
                [str(KHIEN), "hunt", str(event), *rules, "--output", f"{folder}/out"],
                env={**os.environ, "XDG_CACHE_HOME": folder},
                capture_output=True,
                check=True,
            )
            times.append(time.perf_counter() - started)
    return times[0], times[1]


def cut(lane: Path, folder: Path) -> Path:
    """The first part of a lane."""
    part = folder / lane.name
    with lane.open("rb") as stream:
        data = stream.read(QUICK_BYTES)
    part.write_bytes(data[: data.rfind(b"\n") + 1])
    return part


def make_evtx(folder: Path, records: int) -> tuple[Path, int]:
    """A folder of copies of the largest regression recordings, at least `records` in all."""
    import evtx

    files = sorted((SHARED / "data" / "sigma" / "regression_data").rglob("*.evtx"), key=lambda p: -p.stat().st_size)
    out = folder / "evtx"
    out.mkdir()
    best = max(files[:40], key=lambda p: sum(1 for _ in evtx.PyEvtxParser(str(p)).records_json()))
    each = sum(1 for _ in evtx.PyEvtxParser(str(best)).records_json())
    # One large file: the chunks of the recording again and again behind its header.
    data = best.read_bytes()
    chunk = data[4096 : 4096 + 65536]
    count = sum(1 for _ in evtx.PyEvtxParser(str(best)).records_json())
    first = out / "large.evtx"
    header = bytearray(data[:4096])
    copies = max(2, records // max(count, 1))
    with first.open("wb") as stream:
        stream.write(header)
        for _ in range(copies):
            stream.write(chunk)
    total = sum(1 for _ in evtx.PyEvtxParser(str(first)).records_json())
    del each
    return out, total


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--lanes", type=Path)
    parser.add_argument("--rules", action="append")
    args = parser.parse_args()
    sigma = SHARED / "data" / "sigma"
    folders = args.rules or [str(p) for p in sorted(sigma.glob("rules*")) if p.name != "rules-placeholder"]
    rules = [each for folder in folders for each in ("--rules", folder)]
    results: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "quick": args.quick,
        "lanes": {},
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lanes = args.lanes
        if lanes is None:
            lanes = folder / "lanes"
            subprocess.run(
                [sys.executable, str(SHARED / "tools" / "bench_lanes.py"), str(lanes)],
                check=True,
                capture_output=True,
            )
        results["load_cold_s"], results["load_cached_s"] = load_seconds(rules)
        for lane in (lanes / "windows.ndjson", lanes / "process.ndjson"):
            path = cut(lane, folder) if args.quick else lane
            results["lanes"][path.stem] = measure(path, rules, args.quick)
        if not args.quick:
            few = folder / "few"
            few.mkdir()
            for number, rule in enumerate(sorted((sigma / "rules" / "windows").rglob("*.yml"))[::24][:100]):
                (few / f"{number}.yml").write_bytes(rule.read_bytes())
            lane = lanes / "windows.ndjson"
            hundred = hunt(lane, ["--rules", str(few)])["seconds"]
            results["all_rules_against_100"] = results["lanes"]["windows"]["seconds"] / hundred
        evtx_folder, records = make_evtx(folder, 20_000 if args.quick else 200_000)
        done = hunt(evtx_folder, rules)
        results["evtx"] = {
            "records": records,
            "records_s": records / (done["seconds"] - results["load_cached_s"]),
        }
    show(results)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


def measure(lane: Path, rules: list[str], quick: bool) -> dict[str, Any]:
    """One lane: one worker, two workers, and DuckDB's parse."""
    size = lane.stat().st_size
    with lane.open("rb") as stream:
        events = sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))
    one = hunt(lane, rules)
    two = hunt(lane, rules, jobs=2)
    parse = parse_seconds(lane)
    return {
        "events": events,
        "bytes": size,
        **one,
        "events_s": events / one["seconds"],
        "mb_s": size / 1e6 / one["seconds"],
        "two_jobs_speedup": one["seconds"] / two["seconds"],
        "parse_s": parse,
        "against_parse": one["seconds"] / parse,
    }


def show(results: dict[str, Any]) -> None:
    """Print the table."""
    print(
        f"{results['date']}, {results['cores']} cores, Python {results['python']}{', quick' if results['quick'] else ''}"
    )
    print(f"rule load: cold {results['load_cold_s']:.2f} s, cached {results['load_cached_s']:.2f} s (whole process)")
    head = (
        "lane",
        "events",
        "seconds",
        "events/s",
        "MB/s",
        "peak MB",
        "findings",
        "parse s",
        "x parse",
        "2 jobs",
    )
    print(" ".join(f"{each:>9}" for each in head))
    for name, lane in results["lanes"].items():
        cells = (
            name, lane["events"], f"{lane['seconds']:.2f}", f"{lane['events_s']:,.0f}", f"{lane['mb_s']:.0f}", f"{lane['peak_mb']:.0f}",
            lane["findings"], f"{lane['parse_s']:.2f}", f"{lane['against_parse']:.2f}", f"{lane['two_jobs_speedup']:.2f}",
        )  # fmt: skip
        print(" ".join(f"{each:>9}" for each in cells))
    if "all_rules_against_100" in results:
        print(f"all rules against 100 rules: {results['all_rules_against_100']:.2f} times")
    print(f"EVTX: {results['evtx']['records_s']:,.0f} records/s ({results['evtx']['records']:,} records)")


if __name__ == "__main__":
    sys.exit(main())
