"""Every address of the console, a file of its own for each app."""

from django.urls import include, path

from khien.console.frame import views as frame

handler400 = "khien.console.frame.views.unfit"
handler403 = "khien.console.frame.views.forbidden"
handler404 = "khien.console.frame.views.missing"
handler500 = "khien.console.frame.views.failed"

urlpatterns = [
    path("", frame.home, name="home"),
    path("", include("khien.console.frame.urls")),
    path("account/", include("khien.console.accounts.urls")),
    path("units/", include("khien.console.units.urls")),
    path("systems/", include("khien.console.systems.urls")),
    path("alerts/", include("khien.console.alerts.urls")),
    path("incidents/", include("khien.console.incidents.urls")),
    path("", include("khien.console.directives.urls")),
    path("notifications/", include("khien.console.notifications.urls")),
    path("spreadsheets/", include("khien.console.spreadsheets.urls")),
    path("exports/", include("khien.console.exports.urls")),
    path("files/", include("khien.console.files.urls")),
    path("audit/", include("khien.console.audit.urls")),
    path("api/", include("khien.console.api.urls")),
]
