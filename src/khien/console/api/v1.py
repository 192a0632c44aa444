"""Version 1 of the API: its parts, and how it is described."""

from __future__ import annotations

from ninja import NinjaAPI
from ninja.throttling import AuthRateThrottle

from khien import __version__
from khien.console.alerts.api import ROUTERS as ALERTS
from khien.console.api import errors
from khien.console.api.bodies import BodyParser
from khien.console.directives.api import DIRECTIVES, SESSIONS, TASKS
from khien.console.incidents.api import ROUTERS as INCIDENTS
from khien.console.systems.api import systems
from khien.console.units.api import units

DESCRIPTION = """\
All that the pages do with alerts, incidents, directives and tasks. A key is made on the page "API keys"; it goes into
the header `Authorization: Bearer khien_...` and never does more than its owner may.

Lists come in pages: `next` of one is `after` of the following. `updated_since` gives what changed since a time, in the
order of the changes. Times are RFC 3339 in UTC. Changes carry the `version` that was read: when somebody else was
faster the answer is 409 and nothing is changed. A header `Idempotency-Key` makes it safe to send a request again.
"""

api = NinjaAPI(
    title="Khiên",
    version=__version__,
    description=DESCRIPTION,
    urls_namespace="api",
    docs_url=None,
    parser=BodyParser(),
    throttle=[AuthRateThrottle("1200/m")],
)
errors.register(api)
for place, routers in (
    ("/alerts", ALERTS),
    ("/incidents", INCIDENTS),
    ("/tasks", TASKS),
    ("/directives", DIRECTIVES),
    ("/sessions", SESSIONS),
):
    for router in routers:
        api.add_router(place, router)
api.add_router("/units", units)
api.add_router("/systems", systems)
