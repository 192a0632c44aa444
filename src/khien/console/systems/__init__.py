"""Information systems and what names them in telemetry."""
