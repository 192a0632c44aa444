"""Bytes to events: one module a format, and `sniff` that tells which one a file is in."""
