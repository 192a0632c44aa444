"""Views of alerts, a module a page."""
