"""The event store: Delta tables of events and findings, searched with DuckDB."""
