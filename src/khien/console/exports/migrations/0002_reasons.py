"""The words for why a file was not made."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("exports", "0001_initial"),
    ]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="madefile",
            name="reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", ""),
                    ("refused", "You may not see this any more, or it is gone."),
                    ("too_large", "It is too large. Narrow the list down by its filters, or take another format."),
                    ("no_room", "There is no room left on the disk of the console. Tell the administrators."),
                    ("no_pdf", "This server lacks the Pango library, so no PDF can be made. Tell the administrator."),
                    (
                        "stopped",
                        "The console ended several times while it made this file. Narrow it down, or ask later.",
                    ),
                    (
                        "broken",
                        "An error occurred, which stands in the console's log. Ask again, or tell the administrators.",
                    ),
                ],
                default="",
                max_length=20,
            ),
        ),
    ]
