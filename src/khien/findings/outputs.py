"""STUB"""
from __future__ import annotations
NAMES=("ndjson","table")
class W:
    def __init__(self, stream): self.write_line=stream.write
    def close(self, summary): pass
def writer(name, stream, zone, rules): return W(stream)
