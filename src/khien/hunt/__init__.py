"""Hunting through files: inputs to findings, in one process or several."""
