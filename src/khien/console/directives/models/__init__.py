"""Sessions, directives, and tasks of every origin."""

from khien.console.directives.models.directives import (
    Amendment,
    AmendmentKind,
    Directive,
    DirectiveQuerySet,
    DirectiveState,
    DirectiveUnit,
)
from khien.console.directives.models.sessions import (
    AgendaItem,
    Attendance,
    Conclusion,
    Presence,
    Session,
    SessionKind,
    SessionQuerySet,
    SessionState,
)
from khien.console.directives.models.tasks import (
    OPEN,
    OWED,
    StepKind,
    Task,
    TaskQuerySet,
    TaskReminder,
    TaskState,
    TaskStep,
    TaskStepFile,
)

__all__ = [
    "OPEN",
    "OWED",
    "AgendaItem",
    "Amendment",
    "AmendmentKind",
    "Attendance",
    "Conclusion",
    "Directive",
    "DirectiveQuerySet",
    "DirectiveState",
    "DirectiveUnit",
    "Presence",
    "Session",
    "SessionKind",
    "SessionQuerySet",
    "SessionState",
    "StepKind",
    "Task",
    "TaskQuerySet",
    "TaskReminder",
    "TaskState",
    "TaskStep",
    "TaskStepFile",
]
