"""Addresses of an incident's evidence, reports and exports; `urls` takes them in."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from khien.console.incidents.views import evidence, exports

urlpatterns: list[URLPattern | URLResolver] = [
    path("<int:pk>/evidence/", evidence.evidence, name="evidence"),
    path("<int:pk>/evidence/package", evidence.evidence_package_offer, name="evidence_package"),
    path("<int:pk>/evidence/download", evidence.evidence_download, name="evidence_download"),
    path("<int:pk>/evidence/<int:number>/", evidence.evidence_detail, name="evidence_detail"),
    path("<int:pk>/evidence/<int:number>/verify", evidence.evidence_verify, name="evidence_verify"),
    path("<int:pk>/evidence/<int:number>/hand-over", evidence.evidence_hand_over, name="evidence_hand_over"),
    path("<int:pk>/evidence/<int:number>/withdraw", evidence.evidence_withdraw, name="evidence_withdraw"),
    path("<int:pk>/report/", exports.report, name="report"),
    path("<int:pk>/export/<str:format>", exports.export, name="export"),
]
