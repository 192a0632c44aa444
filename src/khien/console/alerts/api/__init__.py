"""Alerts in the API, by what one does with them."""

from __future__ import annotations

from khien.console.alerts.api.acting import acting
from khien.console.alerts.api.alerts import alerts
from khien.console.alerts.api.exceptions import exceptions
from khien.console.alerts.api.looking import looking
from khien.console.alerts.api.saved import views

ROUTERS = (alerts, looking, acting, exceptions, views)
"""All below /alerts."""
