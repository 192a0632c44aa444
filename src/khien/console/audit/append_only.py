"""The database itself refuses to change entries.

SQLite: triggers on UPDATE and DELETE. PostgreSQL: a trigger on both; TRUNCATE, which fires no row trigger and
which only the table's owner may do, is left to the chain: `khien audit verify` finds it by head and anchors.
Tests that empty the tables of SQLite by DELETE set AUDIT_REFUSES_DELETE = False.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

REFUSAL = "the audit trail is append-only"
_SQLITE = """CREATE TRIGGER IF NOT EXISTS audit_entry_no_{event} BEFORE {event} ON audit_entry
BEGIN SELECT RAISE(ABORT, '{refusal}'); END"""
_POSTGRESQL = """
CREATE OR REPLACE FUNCTION audit_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{refusal}'; END $$;
DROP TRIGGER IF EXISTS audit_entry_append_only ON audit_entry;
CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE ON audit_entry
FOR EACH ROW EXECUTE FUNCTION audit_entry_refuse();
"""


def install(connection: Any, *, refuse_delete: bool = True) -> None:
    """Make the triggers."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(_SQLITE.format(event="UPDATE", refusal=REFUSAL))
            if refuse_delete:
                cursor.execute(_SQLITE.format(event="DELETE", refusal=REFUSAL))
        elif connection.vendor == "postgresql":
            cursor.execute(_POSTGRESQL.format(refusal=REFUSAL))


def remove(connection: Any) -> None:
    """Take the triggers away, for a migration that has to change the table."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for event in ("UPDATE", "DELETE"):
                cursor.execute(f"DROP TRIGGER IF EXISTS audit_entry_no_{event}")
        elif connection.vendor == "postgresql":
            cursor.execute("DROP TRIGGER IF EXISTS audit_entry_append_only ON audit_entry")


def forwards(apps: Any, schema_editor: Any) -> None:
    """The migration."""
    install(schema_editor.connection, refuse_delete=getattr(settings, "AUDIT_REFUSES_DELETE", True))


def backwards(apps: Any, schema_editor: Any) -> None:
    """The migration undone."""
    remove(schema_editor.connection)
