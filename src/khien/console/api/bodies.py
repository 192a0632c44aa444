"""Reading what programs send."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from ninja.errors import HttpError
from ninja.parser import Parser


class BodyParser(Parser):
    """JSON and forms whose texts a database can hold."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Raises ValueError for what is no JSON, or has NUL or half a surrogate pair in a text."""
        try:
            body = json.loads(request.body)
        except RecursionError:
            raise ValueError("nested too deep") from None
        _check(body)
        return body

    def parse_querydict(self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest) -> Any:
        """Raises HttpError 422 for NUL or half a surrogate pair in a text."""
        found = super().parse_querydict(data, list_fields, request)
        try:
            _check(found)
        except ValueError as error:
            raise HttpError(422, str(error)) from None
        return found


def _check(value: Any) -> None:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            each.encode()
            if "\0" in each:
                raise ValueError("a text holds NUL")
        elif isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            waiting += each
