"""What waits for a person, and how far units, people and sessions are."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from khien.console.accounts.access import demand
from khien.console.api.auth import Key
from khien.console.api.shapes import seen
from khien.console.directives.api.showing import TaskOut, show_tasks
from khien.console.directives.models import Session
from khien.console.directives.selectors import Column, board, work_of

work = Router(tags=["tasks"])


class WorkQuery(Schema):
    """Whose: one's own, or of the units one works for; left out, one's own unless there are none."""

    whose: Literal["", "mine", "unit"] = ""


class ColumnOut(Schema):
    """Tasks by how soon they are due: overdue, week, later; checks. The first 40 of `count`."""

    name: str
    count: int
    tasks: list[TaskOut]


class WorkOut(Schema):
    """My work. `mine`, `unit`: how many are owed; `checks`: what waits for one's check or decision."""

    whose: str
    mine: int
    unit: int
    columns: list[ColumnOut]
    checks: ColumnOut


class BoardQuery(Schema):
    """`by`: what a line is; `session`: only tasks that come from it."""

    by: Literal["unit", "person", "session"] = "unit"
    session: int | None = Field(None, ge=1, lt=2**63)


class LineOut(Schema):
    """How many tasks of a unit, person or session are in each state. `key`: its id, null for nobody in particular."""

    key: int | None
    name: str
    overdue: int
    sent: int
    accepted: int
    finished: int
    done: int
    all: int


@work.get("/work", response=WorkOut, auth=Key("tasks:read"), summary="My work")
def my_work(request: HttpRequest, asked: Query[WorkQuery]) -> dict[str, Any]:
    """The open tasks handed to the key's owner, or of the units they work for."""
    user = request.user
    found = work_of(user, asked.whose)

    def shown(column: Column) -> dict[str, Any]:
        return {"name": column.name, "count": column.count, "tasks": show_tasks(user, column.tasks)}

    return {
        **{name: getattr(found, name) for name in ("whose", "mine", "unit")},
        "columns": [shown(each) for each in found.columns],
        "checks": shown(found.checks),
    }


@work.get("/boards", response=list[LineOut], auth=Key("tasks:read"), summary="How far units, people or sessions are")
def task_boards(request: HttpRequest, asked: Query[BoardQuery]) -> list[dict[str, Any]]:
    """Counts of the tasks that the key's owner sees, those with most overdue first."""
    demand(request.user, "tasks.work")
    session = seen(Session.objects.visible_to(request.user), asked.session).pk if asked.session else None
    return board(request.user, asked.by, session=session)
