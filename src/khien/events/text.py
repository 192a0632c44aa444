"""The text of a value: what Sigma patterns are compared with."""

from __future__ import annotations

import orjson

from khien.events.batch import MISSING, Value


def value_text(value: Value) -> str | None:
    """The text of one value; None for null, for MISSING and for lists (take their elements).

    Integers have their digits, integral floats those of the integer, other floats the shortest
    text that reads back the same; booleans are "true" and "false"; objects their compact JSON.
    """
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind is float:
        return str(int(value)) if value.is_integer() else repr(value)
    if value is None or value is MISSING or kind is list:
        return None
    if kind is dict:
        try:
            return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
        except (TypeError, orjson.JSONEncodeError):
            return str(value)
    return str(value)
