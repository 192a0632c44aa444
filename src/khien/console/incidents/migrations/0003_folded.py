from typing import ClassVar

from django.db import migrations

from khien.console.units.folding import FoldedField, filler


class Migration(migrations.Migration):
    dependencies: ClassVar = [("incidents", "0002_evidence")]

    operations: ClassVar = [
        migrations.AddField("incident", "folded", FoldedField("number", "title", "description")),
        migrations.RunPython(filler("incidents", "incident"), migrations.RunPython.noop, elidable=True),
    ]
