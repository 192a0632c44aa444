"""How fast the hunt is, next to the time that DuckDB alone needs to parse the same bytes.

    python bench/hunt.py [--quick] [--json FILE] [--lanes DIR] [--rules DIR]...

Lanes are files of JSON lines: `windows.ndjson` and `process.ndjson` in DIR (default: made from the
recordings beside the Sigma reference data), and an EVTX file made of recorded records. Each hunt is one
process (or `--jobs 2`) with the whole corpus loaded; its time runs from the first byte read to the last
finding written, compiling the rules for each kind of event included. Loading the rules is measured
by itself. `--quick` takes the first part of each lane and
ends within 45 seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from evtx_lane import repeatable, write_lane
from lanes import SHARED, SIGMA, corpus

QUICK_BYTES = 300_000_000
LARGE_BYTES = 10_000_000_000

HUNT = """
import json, resource, sys, time
from pathlib import Path
from khien.rules import folders as rule_folders
from khien.findings.outputs import NdjsonWriter
from khien.formats.inputs import find_inputs
from khien.hunt.hunting import Hunt
from khien.hunt.plans import HuntOptions, HuntPlan

path, output, jobs, *folders = sys.argv[1:]
plan = HuntPlan(rule_folders.load([Path(each) for each in folders], None), HuntOptions(jobs=int(jobs)))
problems = []
started = time.perf_counter()
with open(output, "wb", buffering=1 << 20) as stream:
    tally = Hunt(plan, NdjsonWriter(stream)).run(find_inputs([path], problems.append))
seconds = time.perf_counter() - started
peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps({"seconds": seconds, "events": tally.events, "findings": tally.findings, "peak_mb": peak / 1024}))
"""


def hunt(path: str, rules: list[str], jobs: int = 1, stdin: Any = None) -> dict[str, Any]:
    """One hunt in a process of its own: seconds, events, findings, peak_mb of its largest process."""
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as out:
        done = subprocess.run(
            [sys.executable, "-c", HUNT, path, out.name, str(jobs), *rules],
            stdin=stdin,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


PARSE = """
import sys, time
import duckdb, orjson

names = {}
with open(sys.argv[1], "rb") as stream:
    for line in stream:
        for name in orjson.loads(line):
            names.setdefault(name.lower(), name)
columns = ", ".join("'%s': 'VARCHAR'" % name.replace("'", "''") for name in names.values())
connection = duckdb.connect(
    config={"autoinstall_known_extensions": False, "autoload_known_extensions": False, "threads": 1}
)
connection.execute("set enable_progress_bar = false")
started = time.perf_counter()
connection.execute(
    f"create table lane as select * from read_json('{sys.argv[1]}', format='newline_delimited', columns={{{columns}}})"
)
print(time.perf_counter() - started)
"""


def parse_seconds(lane: Path) -> float:
    """The time of DuckDB on one thread, in a process of its own: every field as a VARCHAR column, into a table."""
    done = subprocess.run([sys.executable, "-c", PARSE, str(lane)], stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


LOAD = """
import sys, time
from pathlib import Path
from khien.rules import folders as rule_folders

started = time.perf_counter()
rule_folders.load([Path(each) for each in sys.argv[1:]], None)
print(time.perf_counter() - started)
"""


def load_seconds(rules: list[str]) -> tuple[float, float]:
    """Loading the rules without a cache of compiled ones, and with the one that leaves."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", LOAD, *rules]
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        cold, cached = (
            float(subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout)
            for _ in range(2)
        )
    return cold, cached


def cut(lane: Path, folder: Path, size: int) -> Path:
    """The first part of a lane."""
    part = folder / lane.name
    left = size
    with lane.open("rb") as stream, part.open("wb") as out:
        while left > 0 and (data := stream.read(min(left, 1 << 20))):
            out.write(data)
            left -= len(data)
        out.write(stream.readline())
    return part


def warm(lane: Path) -> None:
    """Read a file, so that all that read it after find it in memory: no disk is measured."""
    with lane.open("rb", buffering=0) as stream:
        while stream.read(1 << 20):
            pass


def measure(lane: Path, rules: list[str]) -> dict[str, Any]:
    """One lane: one worker, two workers, and DuckDB's parse."""
    size = lane.stat().st_size
    warm(lane)
    one = hunt(str(lane), rules)
    two = hunt(str(lane), rules, jobs=2)
    parse = parse_seconds(lane)
    return {
        "bytes": size,
        **one,
        "events_s": one["events"] / one["seconds"],
        "mb_s": size / 1e6 / one["seconds"],
        "two_jobs_speedup": one["seconds"] / two["seconds"],
        "parse_s": parse,
        "against_parse": one["seconds"] / parse,
    }


def measure_long(lane: Path, folder: Path, rules: list[str]) -> float:
    """How much faster two workers are on four times the lane, where what each must learn first weighs less."""
    many = folder / "long"
    many.mkdir()
    for number in range(4):
        part = many / f"{number}.ndjson"
        try:
            os.link(lane, part)
        except OSError:  # on another disk
            shutil.copyfile(lane, part)
    warm(lane)
    one, two = (hunt(str(many), rules, jobs=jobs)["seconds"] for jobs in (1, 2))
    return one / two


def measure_evtx(folder: Path, rules: list[str], records: int) -> dict[str, Any]:
    """EVTX twice: as in daily life, about one record in fifty a finding, and nothing but recorded attacks."""
    trial = folder / "trial"
    trial.mkdir()
    counts = {}
    for source in sorted((SIGMA / "regression_data").rglob("*.evtx")):
        own, copies = repeatable(source)
        if copies:
            counts[source] = own, copies
            write_lane([(source, range(copies))], trial / source.name, 1)
    found = found_records(trial, rules)
    loud = [(source, range(copies)) for source, (_, copies) in counts.items()]
    quiet = []
    for source, (own, copies) in counts.items():
        heard = {(record - own - 1) % copies for record in found[source.name] if record > own}
        if len(heard) < copies:
            quiet.append((source, [at for at in range(copies) if at not in heard]))
    results = {}
    for name, mixed in (("daily", [*quiet * (50 // len(quiet)), loud[0]]), ("attacks", loud)):
        lane = folder / f"{name}.evtx"
        write_lane(mixed, lane, records)
        done = hunt(str(lane), rules)
        results[name] = {**done, "records_s": done["events"] / done["seconds"]}
        lane.unlink()
    return results


def found_records(folder: Path, rules: list[str]) -> defaultdict[str, set[int]]:
    """By file name the numbers of records below a folder that are findings."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as out:
        command = [sys.executable, "-c", HUNT, str(folder), out.name, "1", *rules]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        for line in Path(out.name).read_text().splitlines():
            finding = json.loads(line)
            found[Path(finding["path"]).name].add(finding["record"])
    return found


def few_rules(folder: Path) -> list[str]:
    """A hundred of the corpus' rules for Windows, drawn evenly."""
    few = folder / "few"
    few.mkdir()
    for number, rule in enumerate(sorted((SIGMA / "rules" / "windows").rglob("*.yml"))[::24][:100]):
        (few / f"{number}.yml").write_bytes(rule.read_bytes())
    return [str(few)]


def measure_large(lane: Path, rules: list[str]) -> dict[str, Any]:
    """Ten gigabytes through standard input: the lane again and again."""
    times = LARGE_BYTES // lane.stat().st_size + 1
    with subprocess.Popen(["cat", *[str(lane)] * times], stdout=subprocess.PIPE) as source:
        done = hunt("-", rules, stdin=source.stdout)
    return {**done, "bytes": times * lane.stat().st_size}


def show(results: dict[str, Any]) -> None:
    """Print the table."""
    quick = ", first part of each lane" if results["quick"] else ""
    print(f"{results['date']}, {results['cores']} cores, Python {results['python']}{quick}")
    print(f"rules loaded cold in {results['load_cold_s']:.2f} s, cached in {results['load_cached_s']:.2f} s")
    head = ("lane", "events", "seconds", "events/s", "MB/s", "peak MB", "findings", "parse s", "x parse", "2 jobs")
    print(" ".join(f"{each:>9}" for each in head))
    for name, lane in results["lanes"].items():
        cells = (
            name, lane["events"], f"{lane['seconds']:.2f}", f"{lane['events_s']:,.0f}", f"{lane['mb_s']:.0f}",
            f"{lane['peak_mb']:.0f}", lane["findings"], f"{lane['parse_s']:.2f}", f"{lane['against_parse']:.2f}",
            f"{lane['two_jobs_speedup']:.2f}",
        )  # fmt: skip
        print(" ".join(f"{each:>9}" for each in cells))
    for name, evtx in results["evtx"].items():
        figures = f"{evtx['records_s']:,.0f} records/s ({evtx['events']:,} records, {evtx['findings']:,} findings)"
        print(f"EVTX, {name}: {figures}")
    if "all_rules_against_100" in results:
        print(f"all rules against 100 rules: {results['all_rules_against_100']:.2f} times")
        print(f"two jobs on four times the windows lane: {results['two_jobs_long']:.2f} times as fast")
    if "large" in results:
        large = results["large"]
        print(f"{large['bytes'] / 1e9:.1f} GB: {large['seconds']:.0f} s, peak {large['peak_mb']:.0f} MB")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the first part of each lane; at most 45 seconds")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--lanes", type=Path, help="folder with windows.ndjson and process.ndjson")
    parser.add_argument("--rules", action="append", help="rule folder; may be given again")
    args = parser.parse_args()
    rules = args.rules or corpus()
    results: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "quick": args.quick,
        "lanes": {},
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lanes = args.lanes or folder / "lanes"
        if args.lanes is None:
            tool = str(SHARED / "tools" / "bench_lanes.py")
            subprocess.run([sys.executable, tool, str(lanes)], check=True, capture_output=True)
        quick_bytes = QUICK_BYTES * (1 if args.lanes is None else 2)  # making lanes takes half of the time
        results["load_cold_s"], results["load_cached_s"] = load_seconds(rules)
        hunt(str(SIGMA / "regression_data"), rules)  # fills the user's cache
        for lane in (lanes / "windows.ndjson", lanes / "process.ndjson"):
            path = cut(lane, folder, quick_bytes) if args.quick else lane
            results["lanes"][path.stem] = measure(path, rules)
        results["evtx"] = measure_evtx(folder, rules, 20_000 if args.quick else 200_000)
        if not args.quick:
            lane = lanes / "windows.ndjson"
            hundred = hunt(str(lane), few_rules(folder))["seconds"]
            results["all_rules_against_100"] = results["lanes"]["windows"]["seconds"] / hundred
            results["two_jobs_long"] = measure_long(lane, folder, rules)
            results["large"] = measure_large(lane, rules)
    show(results)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
