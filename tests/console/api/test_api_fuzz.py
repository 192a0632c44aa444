"""Whatever is sent to the API, its answer is no failure of ours: schemathesis sends requests made from the schema."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from console_api import Api
from khien.console.alerts.services import create_alert
from khien.console.directives.tasks import create_task
from khien.console.incidents.services import open_incident

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("person", ["analyst", "health"])
def test_no_request_makes_the_api_fail(live_server, province, person, tmp_path, settings):
    unit = province.units["so-y-te"]
    create_alert(province.analyst, title="Dấu vết", level=3, unit=unit)
    open_incident(province.analyst, title="Mã độc", level=3, unit=unit)
    create_task(province.analyst, unit=unit, title="Việc", due_at=timezone.now() + timedelta(days=1))
    command = [
        str(Path(sys.executable).with_name("st")),
        "run",
        f"{live_server.url}/api/v1/openapi.json",
        *("--header", f"Authorization: Bearer {Api(getattr(province, person)).secret}"),
        *("--checks", "not_a_server_error"),
        *("--phases", "examples,fuzzing"),
        *(
            "--max-examples",
            "4",
            "--workers",
            "2",
            "--generation-deterministic",
            "--no-shrink",
            "--continue-on-failure",
        ),
        *("--suppress-health-check", "all", "--warnings", "off"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
