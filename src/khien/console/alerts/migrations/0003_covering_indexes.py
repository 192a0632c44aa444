"""Indexes that answer the queue without looking at the table, and how closely PostgreSQL counts the words of events."""

from django.conf import settings
from django.db import migrations, models


def _count_closely(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE alerts_content ALTER COLUMN words SET STATISTICS 500")


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0002_content"),
        ("incidents", "0002_evidence"),
        ("systems", "0001_initial"),
        ("units", "0003_kinds"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="alert",
            name="alert_owner",
        ),
        migrations.RemoveIndex(
            model_name="alert",
            name="alert_system",
        ),
        migrations.RemoveIndex(
            model_name="alert",
            name="alert_verdict",
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("owner__isnull", False)),
                fields=["owner", "status", "last_at", "id", "level", "unit"],
                name="alert_owner",
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("system__isnull", False)),
                fields=["system", "last_at", "id", "status", "level", "unit"],
                name="alert_system",
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("verdict", ""), _negated=True),
                fields=["verdict", "last_at", "id", "status", "level", "unit"],
                name="alert_verdict",
            ),
        ),
        migrations.RunPython(_count_closely, migrations.RunPython.noop),
    ]
