from typing import ClassVar

from django.db import migrations

from khien.console.units.folding import FoldedField, filler


class Migration(migrations.Migration):
    dependencies: ClassVar = [("systems", "0001_initial")]

    operations: ClassVar = [
        migrations.AddField("informationsystem", "folded", FoldedField("name", "code", "hostnames", "address_ranges")),
        migrations.RunPython(filler("systems", "informationsystem"), migrations.RunPython.noop, elidable=True),
    ]
