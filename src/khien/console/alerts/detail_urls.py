"""Addresses of one alert, and of exceptions from rules."""

from django.urls import path

from khien.console.alerts.views import acting, detail, exception_making, exceptions

urlpatterns = [
    path("<int:pk>/", detail.detail, name="detail"),
    path("<int:pk>/panel/", detail.panel, name="panel"),
    path("<int:pk>/sample/", detail.sample, name="sample"),
    path("<int:pk>/neighbours/", detail.neighbours, name="neighbours"),
    path("<int:pk>/act/", acting.act, name="act_on"),
    path("new/", acting.new, name="new"),
    path("exceptions/", exceptions.listing, name="exceptions"),
    path("exceptions/new/", exception_making.new, name="exception_new"),
    path("exceptions/draft/", exception_making.draft_text, name="exception_draft"),
    path("exceptions/preview/", exception_making.preview, name="exception_preview"),
    path("exceptions/preview/lake/", exception_making.preview_findings, name="exception_preview_lake"),
    path("exceptions/<int:pk>/", exceptions.one, name="exception"),
    path("exceptions/<int:pk>/prolong/", exceptions.prolong, name="exception_prolong"),
    path("exceptions/<int:pk>/end/", exceptions.end, name="exception_end"),
]
