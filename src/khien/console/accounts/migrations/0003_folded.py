from typing import ClassVar

from django.db import migrations

from khien.console.units.folding import FoldedField, filler


class Migration(migrations.Migration):
    dependencies: ClassVar = [("accounts", "0002_initial")]

    operations: ClassVar = [
        migrations.AddField("user", "folded", FoldedField("name", "email", "title", "phone")),
        migrations.RunPython(filler("accounts", "user"), migrations.RunPython.noop, elidable=True),
    ]
