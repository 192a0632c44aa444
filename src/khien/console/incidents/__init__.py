"""Incidents: timeline, evidence, legal clocks."""
