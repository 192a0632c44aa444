"""When an exception was last changed, for programs that ask what changed since."""

from typing import ClassVar

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("alerts", "0003_covering_indexes")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="ruleexception",
            name="updated_at",
            field=models.DateTimeField(auto_now=True, default=django.utils.timezone.now),
            preserve_default=False,
        ),
    ]
