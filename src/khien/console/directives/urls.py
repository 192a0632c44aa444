"""Addresses of my work, tasks, directives and sessions."""

from django.urls import include, path

from khien.console.directives.views import boards, directives, sessions, steps, tasks, work

_task = [
    path("", tasks.task_list, name="list"),
    path("new/", tasks.task_new, name="new"),
    path("bulk/", tasks.task_bulk, name="bulk"),
    path("boards/", boards.boards, name="boards"),
    path("<int:pk>/", tasks.task_detail, name="detail"),
    path("<int:pk>/files/<int:file>/", tasks.task_file, name="file"),
    *(
        path(f"<int:pk>/{name.replace('_', '-')}/", steps.task_step, {"action": name}, name=name)
        for name in steps.STEPS
    ),
]
_directive = [
    path("", directives.directive_list, name="list"),
    path("new/", directives.directive_new, name="new"),
    path("<int:pk>/", directives.directive_detail, name="detail"),
    path("<int:pk>/edit/", directives.directive_edit, name="edit"),
    path("<int:pk>/issue/", directives.directive_issue, name="issue"),
    path("<int:pk>/discard/", directives.directive_discard, name="discard"),
    path("<int:pk>/amend-due/", directives.directive_amend, {"change": "amend_due"}, name="amend_due"),
    path("<int:pk>/add-unit/", directives.directive_amend, {"change": "add_unit"}, name="add_unit"),
    path("<int:pk>/remove-unit/", directives.directive_amend, {"change": "remove_unit"}, name="remove_unit"),
    path("<int:pk>/close/", directives.directive_close, name="close"),
    path("<int:pk>/withdraw/", directives.directive_withdraw, name="withdraw"),
    path("<int:pk>/directive.docx", directives.directive_file, {"kind": "docx"}, name="docx"),
    path("<int:pk>/directive.pdf", directives.directive_file, {"kind": "pdf"}, name="pdf"),
]
_session = [
    path("", sessions.session_list, name="list"),
    path("new/", sessions.session_new, name="new"),
    path("<int:pk>/", sessions.session_detail, name="detail"),
    path("<int:pk>/edit/", sessions.session_edit, name="edit"),
    path("<int:pk>/agenda/", sessions.session_agenda, name="agenda"),
    path("<int:pk>/agenda/<int:item>/", sessions.session_agenda, name="agenda_item"),
    path("<int:pk>/call/", sessions.session_call, name="call"),
    path("<int:pk>/attendance/", sessions.session_attendance, name="attendance"),
    path("<int:pk>/attendance/<int:attendance>/remove/", sessions.session_uncall, name="uncall"),
    path("<int:pk>/minutes/", sessions.session_minutes, name="minutes"),
    path("<int:pk>/conclusions/", sessions.session_conclusion, name="conclusion"),
    path("<int:pk>/conclusions/<int:conclusion>/", sessions.session_conclusion, name="conclusion_item"),
    *(
        path(f"<int:pk>/{verb}/", sessions.session_state, {"verb": verb}, name=verb)
        for verb in ("hold", "conclude", "reopen")
    ),
    *(
        path(
            f"<int:pk>/{what}.{kind}",
            sessions.session_document,
            {"what": what, "kind": kind},
            name=f"{what}_{kind}",
        )
        for what in ("minutes", "notice")
        for kind in ("docx", "pdf")
    ),
]

urlpatterns = [
    path("work/", work.work, name="work"),
    path("tasks/", include((_task, "tasks"))),
    path("directives/", include((_directive, "directives"))),
    path("sessions/", include((_session, "sessions"))),
]
