"""What event XML holds in its text: Data elements, entities."""

from __future__ import annotations

import re

from khien.events.batch import Event, Value

_XML_DATA = re.compile(r"<Data(?:\s+Name\s*=\s*(?:\"([^\"]*)\"|'([^']*)'))?\s*(?:/>|>([^<]*)</Data>)")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_ENTITY = re.compile(r"&(#x[0-9A-Fa-f]{1,6}|#\d{1,7}|lt|gt|amp|quot|apos);")


def xml_data(text: str) -> Event:
    """The `<Data Name="x">value</Data>` elements of an XML text; unnamed ones are listed as Data."""
    out: Event = {}
    unnamed: list[Value] = []
    for found in _XML_DATA.finditer(text):
        name = found[1] or found[2]
        value = unescape(found[3] or "")
        if name:
            out[name] = value
        else:
            unnamed.append(value)
    if unnamed:
        out["Data"] = unnamed if len(unnamed) > 1 else unnamed[0]
    return out


def unescape(text: str) -> str:
    """XML text with its five entities and character references replaced."""
    if "&" not in text:
        return text

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        if name[0] != "#":
            return _ENTITIES[name]
        code = int(name[2:], 16) if name[1] == "x" else int(name[1:])
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"

    return _ENTITY.sub(replace, text)
