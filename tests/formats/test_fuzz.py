"""Readers under a fuzzer guided by coverage, for a bounded time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris")


@pytest.mark.slow
def test_no_reader_raises_or_hangs_under_the_fuzzer(tmp_path: Path) -> None:
    from formats.fuzz_readers import READERS, SEEDS

    for at, seed in enumerate(SEEDS):
        for number in range(len(READERS)):
            (tmp_path / f"{at}-{number}").write_bytes(bytes([number]) + seed)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fuzz_readers.py")), os.environ.get("KHIEN_FUZZ_SECONDS", "10")],
        capture_output=True,
        check=False,
        timeout=600,
        env={**os.environ, "KHIEN_FUZZ_CORPUS": str(tmp_path)},
    )
    told = done.stderr.decode(errors="replace")
    assert done.returncode == 0, told[-3000:]
    runs = [line for line in told.splitlines() if "number_of_executed_units" in line]
    assert runs, told[-2000:]
    assert int(runs[0].split()[-1]) > len(SEEDS)
