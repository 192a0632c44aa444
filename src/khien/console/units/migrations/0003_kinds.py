from pathlib import Path

import yaml
from django.db import migrations

KINDS = Path(__file__).resolve().parent.parent / "data" / "kinds.yml"


def seed(apps, _editor):
    kinds = apps.get_model("units", "UnitKind")
    for place, kind in enumerate(yaml.safe_load(KINDS.read_text(encoding="utf-8"))["kinds"], start=1):
        kinds.objects.get_or_create(
            code=kind["code"],
            defaults={
                "name_vi": kind["vi"],
                "name_en": kind["en"],
                "oversees": kind.get("oversees", False),
                "position": place * 10,
            },
        )


class Migration(migrations.Migration):
    dependencies = [("units", "0002_appointment")]

    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
