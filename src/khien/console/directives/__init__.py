"""Sessions, directives, and the tasks of all kinds."""
