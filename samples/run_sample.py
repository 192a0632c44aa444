"""Hunt through the sample recording: print the summary, leave an HTML report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "out" / "report.html"


def main() -> int:
    """Run the two hunts as a person would; the exit code is theirs."""
    REPORT.parent.mkdir(exist_ok=True)
    khien = [str(Path(sys.executable).with_name("khien")), "hunt", str(ROOT / "samples" / "province-day")]
    done = subprocess.run([*khien, "--format", "table"], check=False).returncode
    if done:
        return done
    done = subprocess.run(
        [*khien, "--format", "html", "--output", str(REPORT)], check=False, stderr=subprocess.DEVNULL
    ).returncode
    if not done:
        print(f"\nThe report, for a browser: {REPORT}")
    return done


if __name__ == "__main__":
    sys.exit(main())
