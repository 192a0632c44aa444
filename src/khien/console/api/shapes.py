"""Shapes that several parts of the API show: references to units, people, systems; pages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from django.db import models
from ninja import Schema
from pydantic import AfterValidator, AwareDatetime, Field

T = TypeVar("T")
Id = Field(ge=1, lt=2**63)
AnId = Annotated[int, Id]
"""One of several ids."""
BINARY = {
    "responses": {200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}
}
"""How an operation is described that answers with a file."""


class Page(Schema, Generic[T]):
    """A page of a list. `next`: what `after` has to be for the following page; null after the last."""

    items: list[T]
    next: str | None = None


class UnitRef(Schema):
    """A unit."""

    id: int
    code: str
    name: str


class PersonRef(Schema):
    """A person."""

    id: int
    name: str


class SystemRef(Schema):
    """An information system."""

    id: int
    code: str
    name: str


class Versioned(Schema):
    """`version`: of the thing as it was read; with another one the answer is 409. Left out, it is not compared."""

    version: int | None = Field(None, ge=0, lt=2**31)


class Reasoned(Versioned):
    """A step that needs its reason."""

    reason: str = Field(min_length=1, max_length=500)


def _sensible(moment: datetime) -> datetime:
    if not 1970 <= moment.year < 2200:
        raise ValueError("The year has to be between 1970 and 2199")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_sensible)]
"""A time that is sent: with its offset, of a sensible year."""
Time = datetime


def seen(rows: models.QuerySet[Any], pk: int) -> Any:
    """One of the rows a person sees. Raises its DoesNotExist, which is answered by 404."""
    return rows.get(pk=pk)
