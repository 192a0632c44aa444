"""The `khien` command: one module a command, thin."""
