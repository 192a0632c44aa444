"""The console: the Django project in which the people of the office, the agencies and the chair work together."""
