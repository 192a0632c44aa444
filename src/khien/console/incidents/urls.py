"""Addresses of incidents; those of evidence and reports stand in `evidence_urls`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from khien.console.incidents import evidence_urls
from khien.console.incidents.views import detail, indicators, joining, listing, state, tasks, timeline

app_name = "incidents"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", listing.incidents, name="list"),
    path("new/", detail.new, name="new"),
    path("<int:pk>/", detail.detail, name="detail"),
    path("<int:pk>/edit/", detail.edit, name="edit"),
    path("<int:pk>/state/", state.set_status, name="state"),
    path("<int:pk>/close/", state.close, name="close"),
    path("<int:pk>/reopen/", state.reopen, name="reopen"),
    path("<int:pk>/timeline/", timeline.part, name="timeline"),
    path("<int:pk>/entries/", timeline.write, name="write"),
    path("<int:pk>/mails/", timeline.mail, name="mail"),
    path("entries/<int:pk>/", timeline.mend, name="mend"),
    path("<int:pk>/indicators/", indicators.indicator_list, name="indicators"),
    path("indicators/<int:pk>/", indicators.change, name="indicator"),
    path("indicators/<int:pk>/remove/", indicators.remove, name="indicator_remove"),
    path("clocks/<int:pk>/sent/", state.sent, name="clock_sent"),
    path("clocks/<int:pk>/waive/", state.waive, name="clock_waive"),
    path("<int:pk>/playbooks/", tasks.playbooks, name="playbooks"),
    path("<int:pk>/tasks/new/", tasks.new_task, name="task_new"),
    path("<int:pk>/merge/", joining.merge, name="merge"),
    path("<int:pk>/split/", joining.split, name="split"),
    path("<int:pk>/relate/", joining.relate, name="relate"),
    path("<int:pk>/unrelate/<int:other>/", joining.unrelate, name="unrelate"),
    *evidence_urls.urlpatterns,
]
