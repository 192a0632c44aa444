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
REQUESTS = 400
"""About so many are made up for a person: the more operations there are, the fewer each gets, but never none."""
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.mark.parametrize("person", ["analyst", "health"])
def test_no_request_makes_the_api_fail(live_server, province, person, tmp_path):
    unit = province.units["so-y-te"]
    create_alert(province.analyst, title="Dấu vết", level=3, unit=unit)
    open_incident(province.analyst, title="Mã độc", level=3, unit=unit)
    create_task(province.analyst, unit=unit, title="Việc", due_at=timezone.now() + timedelta(days=1))
    paths = api.get_openapi_schema()["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in paths.items() for method in METHODS & set(methods)}
    key = Api(getattr(province, person)).secret
    tried = run(live_server.url, key, max(1, REQUESTS // len(operations)), tmp_path / "all")
    # Now and then none of the few requests made up for an operation can be sent.
    for operation in sorted(operations - tried):
        tried |= run(live_server.url, key, 30, tmp_path / "one", "--include-name", operation)
    assert tried == operations


def run(url: str, key: str, examples: int, folder: Path, *more: str) -> set[str]:
    """Ask an API; the operations that were asked for something."""
    options = {
        "--header": f"Authorization: Bearer {key}",
        "--checks": "not_a_server_error",
        "--phases": "fuzzing",
        "--max-examples": str(examples),
        "--workers": "2",
        "--suppress-health-check": "all",
        "--warnings": "off",
        "--request-timeout": "60",
        "--report-ndjson-path": str(folder.with_suffix(".ndjson")),
    }
    command = [
        str(Path(sys.executable).with_name("st")),
        "run",
        f"{url}/api/v1/openapi.json",
        *(word for option in options.items() for word in option),
        *("--generation-deterministic", "--no-shrink", "--continue-on-failure"),
        *more,
    ]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    events = [json.loads(line) for line in folder.with_suffix(".ndjson").read_text().splitlines()]
    recorders = [event["ScenarioFinished"]["recorder"] for event in events if "ScenarioFinished" in event]
    return {recorder["label"] for recorder in recorders if recorder.get("interactions")}
