"""Addresses of the audit trail."""

from django.urls import path

from khien.console.audit import views

app_name = "audit"
urlpatterns = [
    path("", views.listing, name="list"),
    path("<int:number>/", views.detail, name="detail"),
    path("of/<str:target_type>/<str:target_id>/", views.of, name="of"),
]
