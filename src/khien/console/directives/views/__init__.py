"""Pages of sessions, directives and tasks."""
