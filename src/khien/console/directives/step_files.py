"""Files handed in with a task's steps."""

from __future__ import annotations

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import record
from khien.console.directives.models import Task, TaskStepFile
from khien.console.files.models import StoredFile


def step_file(by: User, pk: int, file: int) -> StoredFile:
    """A file of a task that the person sees, to be saved. Raises Task.DoesNotExist, TaskStepFile.DoesNotExist."""
    demand(by, "tasks.work")
    task = Task.objects.visible_to(by).get(pk=pk)
    stored = TaskStepFile.objects.select_related("stored").get(pk=file, step__task=task).stored
    record(by, "task.file", task, after={"name": stored.name, "sha256": stored.sha256})
    return stored
