"""Where the benchmarks' recorded events come from."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("KHIEN_SHARED", ROOT.parent / "shared"))
SIGMA = SHARED / "data" / "sigma"


def windows_lane(folder: Path, limit: int = 0) -> Path:
    """Write recorded Windows events as JSON lines into `folder`: all of them, or about the first `limit` bytes."""
    sys.path.insert(0, str(SHARED / "tools"))
    import bench_lanes

    lane = folder / "windows.ndjson"
    size = 0
    with lane.open("wb") as out:
        for _, data in bench_lanes.recordings():
            for line in data.splitlines():
                if b'"EventID"' in line and b'"Channel"' in line and line.startswith(b"{"):
                    out.write(line + b"\n")
                    size += len(line) + 1
            if limit and size > limit:
                break
    return lane


def corpus() -> list[str]:
    """The folders of the whole rule corpus."""
    return [str(path) for path in sorted(SIGMA.glob("rules*")) if path.name != "rules-placeholder"]
