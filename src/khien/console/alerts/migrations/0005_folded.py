from typing import ClassVar

from django.db import migrations

from khien.console.units.folding import FoldedField, filler


class Migration(migrations.Migration):
    dependencies: ClassVar = [("alerts", "0004_exception_updated")]

    operations: ClassVar = [
        migrations.AddField("seenrule", "folded", FoldedField("title")),
        migrations.AddField("ruleexception", "folded", FoldedField("title", "rule_id", "reason")),
        migrations.RunPython(filler("alerts", "seenrule", "ruleexception"), migrations.RunPython.noop, elidable=True),
    ]
