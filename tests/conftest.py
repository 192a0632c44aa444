"""What all tests share: where the reference data is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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
