"""One thing of each kind, of the department of health, made through the services: what addresses in tests name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models
from django.utils import timezone

from khien.console.accounts.invitations import invite
from khien.console.accounts.keys import create_key
from khien.console.alerts.models import BulkAction, RuleException, SavedView
from khien.console.alerts.services import create_alert
from khien.console.api.models import Webhook
from khien.console.audit.models import Entry
from khien.console.directives import handling, issuing, sessions
from khien.console.directives.tasks import create_task
from khien.console.incidents import evidence, indicators, timeline
from khien.console.incidents.models import Incident
from khien.console.incidents.services import open_incident
from khien.console.notifications.models import Notice
from khien.console.systems.models import InformationSystem
from khien.console.units.models import Appointment, Seat

Made = dict[str, Any]


def _alert(p: Any, made: Made) -> Any:
    return create_alert(
        p.analyst, title="Dấu vết", level=3, unit=p.units["so-y-te"], entity_kind="host", entity_value="syt-pc01"
    )


def _incident(p: Any, made: Made) -> Any:
    return open_incident(
        p.analyst,
        title="Mã độc",
        level=4,
        unit=p.units["so-y-te"],
        working_class="malware",
        serious=True,
        leader=p.analyst,
        alerts=[made["alert"]],
    )


def _evidence(p: Any, made: Made) -> Any:
    return evidence.add_evidence(
        p.analyst,
        made["incident"].pk,
        [SimpleUploadedFile("ảnh đĩa.bin", b"\x00evidence")],
        description="Ảnh đĩa",
        collected_at=timezone.now() - timedelta(hours=1),
        collected_where="Phòng máy",
        collected_by="Người mẫu",
    )[0].evidence


def _session(p: Any, made: Made) -> Any:
    session = sessions.plan(p.analyst, title="Phiên họp quý", starts_at=timezone.now() - timedelta(hours=3))
    session = sessions.call(p.analyst, session.pk, None, units=[p.units["so-y-te"]])
    session = sessions.set_agenda_item(p.analyst, session.pk, None, title="Tình hình")
    return sessions.set_conclusion(p.analyst, session.pk, None, text="Vá máy chủ trong tháng")


def _concluded(p: Any, made: Made) -> Any:
    session = sessions.plan(p.analyst, title="Phiên đã họp", starts_at=timezone.now() - timedelta(days=3))
    session = sessions.call(p.analyst, session.pk, None, units=[p.units["so-y-te"]])
    session = sessions.hold(p.analyst, session.pk, None)
    session = sessions.set_conclusion(p.analyst, session.pk, None, text="Thống nhất")
    return sessions.conclude(p.analyst, session.pk, None)


def _draft(p: Any, made: Made) -> Any:
    return issuing.draft(
        p.analyst,
        title="Vá máy chủ",
        text="Các đơn vị vá máy chủ.",
        due_at=timezone.now() + timedelta(days=10),
        units={p.units["so-y-te"]: None},
        conclusion=made["session"].conclusions.first(),
    )


def _directive(p: Any, made: Made) -> Any:
    draft = issuing.draft(
        p.analyst,
        title="Rà soát tài khoản",
        text="Các đơn vị rà soát.",
        due_at=timezone.now() + timedelta(days=10),
        units={p.units["so-y-te"]: None},
    )
    return issuing.issue(p.chair, draft.pk, None)


def _task(p: Any, made: Made) -> Any:
    return create_task(
        p.analyst, unit=p.units["so-y-te"], title="Vá máy chủ", due_at=timezone.now() + timedelta(days=2)
    )


def _task_file(p: Any, made: Made) -> Any:
    task = create_task(p.analyst, unit=p.units["so-y-te"], title="Có tệp", due_at=timezone.now() + timedelta(days=2))
    handling.accept(p.health, task.pk, None)
    upload = SimpleUploadedFile("kết quả.txt", b"ok")
    handling.report(p.health, task.pk, None, text="Đang làm", percent=10, files=[upload])
    return task.steps.exclude(files=None).last().files.get()


def _finished(p: Any, made: Made) -> Any:
    task = create_task(p.analyst, unit=p.units["so-y-te"], title="Xong", due_at=timezone.now() + timedelta(days=2))
    handling.accept(p.health, task.pk, None)
    return handling.finish(p.health, task.pk, None, text="Đã xong")


def _appointment(p: Any, made: Made) -> Any:
    return Appointment.objects.create(
        seat=Seat.MEMBER,
        person="Người mẫu",
        unit=p.units["so-y-te"],
        decision_number="12/QĐ",
        decision_date=date(2026, 1, 5),
        starts_on=date(2026, 1, 10),
    )


def _exception(p: Any, made: Made) -> Any:
    return RuleException.objects.create(
        rule_id="5a1b0c7d-0000-4000-8000-000000000001",
        title="Bảo trì",
        text="title: Bảo trì",
        reason="Bảo trì",
        owner=p.analyst,
        alert=made["alert"],
        expires_at=timezone.now() + timedelta(days=30),
    )


MAKERS: dict[str, Callable[[Any, Made], Any]] = {
    "alert": _alert,
    "incident": _incident,
    "other_incident": lambda p, made: open_incident(p.analyst, title="Khác", level=2, unit=p.units["so-y-te"]),
    "closed_incident": lambda p, made: _closed(p),
    "entry": lambda p, made: timeline.write_entry(p.analyst, made["incident"].pk, kind="note", text="Đã cô lập"),
    "indicator": lambda p, made: indicators.add_indicators(p.analyst, made["incident"].pk, [("", "203.0.113.66")])[0],
    "clock": lambda p, made: made["incident"].clocks.first(),
    "evidence": _evidence,
    "evidence_number": lambda p, made: made["evidence"].number,
    "session": _session,
    "agenda_item": lambda p, made: made["session"].agenda.first(),
    "attendance": lambda p, made: made["session"].attendance.first(),
    "conclusion": lambda p, made: made["session"].conclusions.first(),
    "draft": _draft,
    "directive": _directive,
    "concluded": _concluded,
    "task": _task,
    "task_file": _task_file,
    "task_of_file": lambda p, made: made["task_file"].step.task,
    "finished_task": _finished,
    "unit": lambda p, made: p.units["so-y-te"],
    "unit_kind": lambda p, made: p.units["so-y-te"].kind,
    "appointment": _appointment,
    "system": lambda p, made: InformationSystem.objects.create(
        code="his", name="Hệ thống khám chữa bệnh (mẫu)", unit=p.units["so-y-te"], level=3, hostnames="his01"
    ),
    "user": lambda p, made: p.health,
    "invitation": lambda p, made: invite(p.admin, "moi@example.vn", "Người mới", p.units["so-y-te"], "duty_officer")[0],
    "key": lambda p, made: create_key(p.health, "khóa", ["tasks:read"], timezone.now() + timedelta(days=9))[0],
    "notice": lambda p, made: Notice.objects.create(user=p.health, kind="task.new", text="Xin chào", url="/work/"),
    "view": lambda p, made: SavedView.objects.create(owner=p.health, name="Ca đêm", query="level:high"),
    "exception": _exception,
    "webhook": lambda p, made: Webhook.objects.create(
        owner=p.health, name="SIEM", url="https://siem.example/", events=["task.*"], secret="x"
    ),
    "undo": lambda p, made: BulkAction.objects.latest("pk"),
    "audit_entry": lambda p, made: Entry.objects.first(),
}


def _closed(p: Any) -> Incident:
    from khien.console.incidents.services import close_incident

    incident = open_incident(p.analyst, title="Đã xong", level=1, unit=p.units["so-y-te"])
    return close_incident(
        p.analyst, incident.pk, incident.version, cause="c", effect="e", lessons="l", clocks_reason="không thuộc diện"
    )


def make_objects(province: Any) -> Made:
    """Things by the names in `MAKERS`; later ones build on earlier ones."""
    made: Made = {}
    for name, make in MAKERS.items():
        made[name] = make(province, made)
    for each in made.values():
        if isinstance(each, models.Model):
            each.refresh_from_db()
    return made
