"""The audit trail: hash-chained, append-only."""
