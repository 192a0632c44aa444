"""Khiên: find attacks in the telemetry of a province, and act on them."""

__version__ = "0.1.0"
