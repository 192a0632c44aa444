"""Addresses of notices and the delivery log."""

from django.urls import path

from khien.console.notifications import views

app_name = "notifications"
urlpatterns = [
    path("", views.notice_list, name="list"),
    path("count", views.count, name="count"),
    path("latest", views.latest, name="latest"),
    path("<int:pk>/open", views.open_notice, name="open"),
    path("<int:pk>/read", views.read, name="read"),
    path("read-all", views.read_all, name="read_all"),
    path("preferences", views.preferences, name="preferences"),
    path("deliveries", views.deliveries, name="deliveries"),
    path("deliveries/<int:pk>/again", views.again, name="again"),
]
