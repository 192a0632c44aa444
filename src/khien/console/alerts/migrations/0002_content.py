"""The words of events: FTS5 in SQLite, a GIN index over tsvector in PostgreSQL. See `content.py`."""

from django.db import migrations

_SQLITE = (
    "CREATE VIRTUAL TABLE alerts_content USING fts5(words, content='', columnsize=0, tokenize='ascii')",
    "DROP TABLE alerts_content",
)
_POSTGRESQL = (
    """
    CREATE TABLE alerts_content (rowid bigint PRIMARY KEY, words tsvector NOT NULL);
    CREATE INDEX alert_content_words ON alerts_content USING gin (words) WITH (gin_pending_list_limit = 512);
    CREATE INDEX alert_entity_prefix ON alerts_alert (entity_value text_pattern_ops, last_at, id);
    """,
    "DROP TABLE alerts_content; DROP INDEX alert_entity_prefix;",
)


def _run(place):
    def run(apps, schema_editor):
        schema_editor.execute((_SQLITE if schema_editor.connection.vendor == "sqlite" else _POSTGRESQL)[place])

    return run


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial")]

    operations = [migrations.RunPython(_run(0), _run(1))]
