"""Incidents in the API, by what one does with them."""

from __future__ import annotations

from khien.console.incidents.api.choices import choices
from khien.console.incidents.api.clocks import clocks
from khien.console.incidents.api.evidence import evidence
from khien.console.incidents.api.exports import exports
from khien.console.incidents.api.incidents import incidents
from khien.console.incidents.api.indicators import indicators
from khien.console.incidents.api.joining import joining
from khien.console.incidents.api.state import state
from khien.console.incidents.api.tasks import tasks
from khien.console.incidents.api.timeline import timeline

ROUTERS = (incidents, state, timeline, clocks, indicators, evidence, tasks, joining, choices, exports)
"""All below /incidents."""
