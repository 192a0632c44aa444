from typing import ClassVar

from django.db import migrations

from khien.console.units.folding import FoldedField, filler


class Migration(migrations.Migration):
    dependencies: ClassVar = [("units", "0003_kinds")]

    operations: ClassVar = [
        migrations.AddField("unit", "folded", FoldedField("name", "short_name", "code")),
        migrations.RunPython(filler("units", "unit"), migrations.RunPython.noop, elidable=True),
    ]
