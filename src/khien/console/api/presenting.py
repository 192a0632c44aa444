"""Things as the API shows them, for webhooks."""

from __future__ import annotations

from typing import Any

from django.db import models

from khien.console.accounts.models import User
from khien.console.alerts.api.showing import AlertOut, show_alerts
from khien.console.alerts.models import Alert
from khien.console.directives.api.showing import DirectiveOut, TaskOut, show_directives, show_tasks
from khien.console.directives.models import Directive, Task
from khien.console.incidents.api.showing import IncidentOut
from khien.console.incidents.models import Incident


def present(user: User, thing: models.Model) -> Any:
    """Plain values for JSON. Raises TypeError for a thing the API does not show."""
    if isinstance(thing, Task):
        return TaskOut.model_validate(show_tasks(user, [thing])[0]).model_dump(mode="json")
    if isinstance(thing, Alert):
        return AlertOut.model_validate(show_alerts(user, [thing])[0]).model_dump(mode="json")
    if isinstance(thing, Directive):
        return DirectiveOut.model_validate(show_directives(user, [thing])[0]).model_dump(mode="json")
    if isinstance(thing, Incident):
        return IncidentOut.from_orm(thing).model_dump(mode="json")
    raise TypeError(f"the API shows no {type(thing).__name__}")
