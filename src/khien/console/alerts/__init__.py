"""Alerts: the queue, triage, exceptions."""
