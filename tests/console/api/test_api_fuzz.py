"""Whatever is sent to the API, its answer is no failure of ours: schemathesis sends requests made from the schema."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from console_api import Api
from khien.console.alerts.services import create_alert
from khien.console.api.v1 import api
from khien.console.directives.tasks import create_task
from khien.console.incidents.services import open_incident

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
REQUESTS = 650
"""About so many are made up for a person: the more operations there are, the fewer each gets, but never none."""
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.mark.parametrize("person", ["analyst", "health"])
def test_no_request_makes_the_api_fail(live_server, province, person, tmp_path):
    unit = province.units["so-y-te"]
    create_alert(province.analyst, title="Dấu vết", level=3, unit=unit)
    open_incident(province.analyst, title="Mã độc", level=3, unit=unit)
    create_task(province.analyst, unit=unit, title="Việc", due_at=timezone.now() + timedelta(days=1))
    operations = sum(len(METHODS & set(methods)) for methods in api.get_openapi_schema()["paths"].values())
    options = {
        "--header": f"Authorization: Bearer {Api(getattr(province, person)).secret}",
        "--checks": "not_a_server_error",
        "--phases": "examples,fuzzing",
        "--max-examples": str(max(1, REQUESTS // operations)),
        "--workers": "2",
        "--suppress-health-check": "all",
        "--warnings": "off",
        "--report-json-path": str(tmp_path / "report.json"),
    }
    command = [
        str(Path(sys.executable).with_name("st")),
        "run",
        f"{live_server.url}/api/v1/openapi.json",
        *(word for option in options.items() for word in option),
        *("--generation-deterministic", "--no-shrink", "--continue-on-failure"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    tried = json.loads((tmp_path / "report.json").read_text())["operations"]
    assert tried["tested"] == tried["total"] == operations, tried
