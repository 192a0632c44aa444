"""Addresses of units and of the subcommittee."""

from django.urls import path

from khien.console.units.views import kinds, subcommittee, tree, unit

app_name = "units"
urlpatterns = [
    path("", tree.units, name="list"),
    path("new", unit.new, name="new"),
    path("<int:pk>/", unit.unit, name="detail"),
    path("<int:pk>/edit", unit.edit, name="edit"),
    path("<int:pk>/move", unit.move, name="move"),
    path("<int:pk>/deactivate", unit.deactivate, name="deactivate"),
    path("<int:pk>/reactivate", unit.reactivate, name="reactivate"),
    path("kinds/", kinds.kinds, name="kinds"),
    path("kinds/new", kinds.kind, name="new_kind"),
    path("kinds/<int:pk>/", kinds.kind, name="kind"),
    path("subcommittee/", subcommittee.subcommittee, name="subcommittee"),
    path("subcommittee/appoint", subcommittee.appoint, name="appoint"),
    path("subcommittee/<int:pk>/replace", subcommittee.replace, name="replace"),
    path("subcommittee/<int:pk>/correct", subcommittee.correct, name="correct"),
    path("subcommittee/<int:pk>/end", subcommittee.end, name="end"),
]
