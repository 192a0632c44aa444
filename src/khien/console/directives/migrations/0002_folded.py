from typing import ClassVar

from django.db import migrations

from khien.console.units.folding import FoldedField, filler


class Migration(migrations.Migration):
    dependencies: ClassVar = [("directives", "0001_initial")]

    operations: ClassVar = [
        migrations.AddField("directive", "folded", FoldedField("sign", "title", "text", "basis")),
        migrations.AddField("session", "folded", FoldedField("number", "title")),
        migrations.AddField("task", "folded", FoldedField("title", "text")),
        migrations.RunPython(
            filler("directives", "directive", "session", "task"), migrations.RunPython.noop, elidable=True
        ),
    ]
