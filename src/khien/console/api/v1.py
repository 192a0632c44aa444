"""Version 1 of the API: its parts, and how it is described."""

from __future__ import annotations

from ninja import NinjaAPI
from ninja.throttling import AuthRateThrottle

from khien import __version__
from khien.console.alerts.api import alerts
from khien.console.api import errors
from khien.console.api.bodies import BodyParser
from khien.console.directives.api import directives, sessions, tasks
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
api.add_router("/alerts", alerts)
for each in INCIDENTS:
    api.add_router("/incidents", each)
api.add_router("/tasks", tasks)
api.add_router("/directives", directives)
api.add_router("/sessions", sessions)
api.add_router("/units", units)
api.add_router("/systems", systems)
