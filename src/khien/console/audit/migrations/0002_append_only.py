"""Entries can be added only."""

from django.db import migrations

from khien.console.audit.append_only import backwards, forwards


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(forwards, backwards)]
