"""Pages of sessions and directives: every role, both languages, conflicts, hostile text, bounded queries."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from khien.console.directives import handling, issuing, sessions
from khien.console.directives.minutes import minutes_of
from khien.console.directives.models import Directive, DirectiveState, Session, Task
from khien.console.units.models import Appointment, Unit
from khien.documents.pdf import PdfError, TooLong

pytestmark = pytest.mark.django_db
HOSTILE = '<script>alert("x")</script>'
OFFICE = ("chair", "analyst", "analyst2", "admin", "auditor")


@pytest.fixture
def session(province):
    made = sessions.plan(
        province.analyst,
        title=f"Phiên họp {HOSTILE}",
        starts_at=timezone.now(),
        chair=province.chair,
        secretary=province.analyst,
    )
    made = sessions.hold(province.analyst, made.pk, 1)
    made = sessions.call(province.analyst, made.pk, 2, units=[province.units["so-y-te"]])
    made = sessions.set_agenda_item(province.analyst, made.pk, 3, title=f"Báo cáo {HOSTILE}", notes="Đã nghe")
    return sessions.set_conclusion(province.analyst, made.pk, 4, text=f"Kết luận {HOSTILE}")


@pytest.fixture
def directive(province, session):
    return issuing.draft(
        province.analyst,
        title=f"Rà soát {HOSTILE}",
        text="Các đơn vị rà soát.",
        due_at=timezone.now() + timedelta(days=10),
        units={province.units["so-y-te"]: None, province.units["xa-mau"]: None},
        conclusion=session.conclusions.get(),
    )


def pages(session, directive):
    return {
        reverse("sessions:list"): "directives.view",
        reverse("sessions:detail", args=[session.pk]): "directives.view",
        reverse("sessions:new"): "sessions.prepare",
        reverse("sessions:edit", args=[session.pk]): "sessions.prepare",
        reverse("directives:list"): "directives.view",
        reverse("directives:detail", args=[directive.pk]): "directives.view",
        reverse("directives:new"): "sessions.prepare",
        reverse("directives:edit", args=[directive.pk]): "sessions.prepare",
    }


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_page_shows_to_those_who_prepare_and_escapes_what_was_typed(
    province, signed_in, session, directive, language
):
    client = signed_in(province.analyst, language)
    for url in pages(session, directive):
        answer = client.get(url)
        assert answer.status_code == 200, url
        assert HOSTILE not in answer.content.decode(), url


def test_each_role_gets_what_its_capabilities_open(province, signed_in, session, directive):
    for who in OFFICE:
        user = province.people[who]
        for url, capability in pages(session, directive).items():
            assert signed_in(user).get(url).status_code == (200 if user.may(capability) else 403), (who, url)


def test_a_stranger_signs_in_first(session, directive):
    for url in pages(session, directive):
        assert Client().get(url)["Location"].startswith("/account/login"), url


def test_a_unit_finds_only_what_concerns_it(province, signed_in, session, directive):
    session_url = reverse("sessions:detail", args=[session.pk])
    directive_url = reverse("directives:detail", args=[directive.pk])
    got = lambda who, url: signed_in(province.people[who]).get(url).status_code  # noqa: E731
    assert (got("health", session_url), got("commune", session_url), got("press", session_url)) == (200, 404, 404)
    assert (got("health", directive_url), got("commune", directive_url)) == (404, 404)
    issuing.issue(province.chair, directive.pk, 1)
    assert (got("health", directive_url), got("commune", directive_url)) == (200, 200)
    assert got("press", directive_url) == 404
    foreign = Task.objects.get(unit__code="xa-mau")
    for url in (session_url, directive_url, reverse("directives:list")):
        text = signed_in(province.health).get(url).content.decode()
        assert "Xã Mẫu" not in text, url
        assert f"/tasks/{foreign.pk}/" not in text, url


def test_from_the_bar_one_gets_to_a_units_task_in_one_click(province, signed_in, session, directive):
    issuing.issue(province.chair, directive.pk, 1)
    for url in (reverse("sessions:detail", args=[session.pk]), reverse("directives:list")):
        text = signed_in(province.analyst).get(url).content.decode()
        for task in Task.objects.all():
            assert f'class="di-sent" href="{reverse("tasks:detail", args=[task.pk])}"' in text


def test_from_a_session_to_an_issued_directive_by_the_pages(province, signed_in):
    analyst, chair = signed_in(province.analyst), signed_in(province.chair)
    analyst.post("/sessions/new/", {"kind": "regular", "title": "Quý I", "starts_at": "2026-03-01T08:00"})
    session = Session.objects.get()
    base = f"/sessions/{session.pk}"
    for path, data in (
        ("agenda/", {"title": "Báo cáo"}),
        ("agenda/", {"title": "Thảo luận"}),
        ("call/", {"units": [province.units["xa-mau"].pk]}),
        ("hold/", {}),
        ("minutes/", {"minutes": "Đã họp."}),
        ("conclusions/", {"text": "Làm ngay."}),
    ):
        session.refresh_from_db()
        answer = analyst.post(f"{base}/{path}", {"version": session.version, **data})
        assert answer.status_code == 302, (path, answer.content.decode())
    session.refresh_from_db()
    row = session.attendance.get()
    analyst.post(
        f"{base}/attendance/",
        {"version": session.version, f"presence_{row.pk}": "substitute", f"person_{row.pk}": "Bà Mẫu"},
    )
    row.refresh_from_db()
    assert (row.presence, row.person) == ("substitute", "Bà Mẫu")
    item = session.agenda.first()
    session.refresh_from_db()
    analyst.post(f"{base}/agenda/{item.pk}/", {"version": session.version, "do": "down"})
    assert [each.title for each in session.agenda.all()] == ["Thảo luận", "Báo cáo"]
    session.refresh_from_db()
    analyst.post(f"{base}/conclude/", {"version": session.version})
    conclusion = session.conclusions.get()
    form = analyst.get(f"/directives/new/?conclusion={conclusion.pk}").content.decode()
    assert "Làm ngay." in form
    assert session.number in form
    unit = province.units["xa-mau"].pk
    answer = analyst.post(
        "/directives/new/",
        {
            "conclusion": conclusion.pk,
            "title": "Làm",
            "text": "Làm ngay.",
            "sign": "CĐ-TBATANM",
            "due_at": "2027-01-31T17:00",
            "unit": [unit, province.units["so-y-te"].pk],
            f"due_{unit}": "2027-02-15T17:00",
        },
    )
    directive = Directive.objects.get()
    assert answer["Location"] == f"/directives/{directive.pk}/"
    assert analyst.post(f"/directives/{directive.pk}/issue/", {"version": 1}).status_code == 403
    assert chair.post(f"/directives/{directive.pk}/issue/", {"version": 1}).status_code == 302
    assert sorted(f"{timezone.localtime(task.due_at):%d/%m/%Y}" for task in Task.objects.all()) == [
        "15/02/2027",
        "31/01/2027",
    ]


def test_the_second_editor_sees_what_they_wrote_and_that_it_changed(province, signed_in, session, directive):
    client = signed_in(province.analyst2)
    sessions.write_minutes(province.analyst, session.pk, session.version, "x")
    old = session.version
    row = session.attendance.get()
    for url, data, kept in (
        (f"/sessions/{session.pk}/conclusions/", {"text": "Ý của tôi"}, "Ý của tôi"),
        (f"/sessions/{session.pk}/minutes/", {"minutes": "Biên bản của tôi"}, "Biên bản của tôi"),
        (f"/sessions/{session.pk}/attendance/", {f"person_{row.pk}": "Ông Của Tôi"}, "Ông Của Tôi"),
        (
            f"/sessions/{session.pk}/edit/",
            {"kind": "regular", "title": "Tên của tôi", "starts_at": "2026-03-01T08:00"},
            "Tên của tôi",
        ),
    ):
        answer = client.post(url, {"version": old, **data})
        assert answer.status_code == 409, url
        assert kept in answer.content.decode(), url
        assert "Somebody else has changed this" in answer.content.decode(), url
    unit = province.units["so-y-te"].pk
    data = {"title": "Của tôi", "text": "x", "sign": "y", "due_at": "2027-01-31T17:00", "unit": unit}
    assert client.post(f"/directives/{directive.pk}/edit/", {"version": 1, **data}).status_code == 302
    answer = client.post(f"/directives/{directive.pk}/edit/", {"version": 1, **data, "title": "Vẫn của tôi"})
    assert answer.status_code == 409
    assert "Vẫn của tôi" in answer.content.decode()


def test_the_chair_amends_by_the_pages(province, signed_in, directive):
    issuing.issue(province.chair, directive.pk, 1)
    chair = signed_in(province.chair)
    base = f"/directives/{directive.pk}"
    new = {"due_at": "2027-06-01T08:00", "reason": "Bão"}
    assert chair.post(f"{base}/amend-due/", {"version": 2, **new}).status_code == 302
    assert chair.post(f"{base}/amend-due/", {"version": 2, **new}).status_code == 409
    press = province.units["bao-mau"].pk
    assert chair.post(f"{base}/add-unit/", {"version": 3, "unit": press, "reason": "Thêm"}).status_code == 302
    assert chair.post(f"{base}/remove-unit/", {"version": 4, "unit": press, "reason": ""}).status_code == 400
    assert chair.post(f"{base}/remove-unit/", {"version": 4, "unit": press, "reason": "Bớt"}).status_code == 302
    text = chair.get(f"{base}/").content.decode()
    assert all(reason in text for reason in ("Bão", "Thêm", "Bớt"))
    assert chair.post(f"{base}/close/", {"version": 5}).status_code == 400
    assert chair.post(f"{base}/withdraw/", {"version": 5, "reason": "Thay"}).status_code == 302
    directive.refresh_from_db()
    assert directive.state == DirectiveState.WITHDRAWN
    for path in ("amend-due", "add-unit", "remove-unit", "close", "withdraw", "issue"):
        assert signed_in(province.analyst).post(f"{base}/{path}/", {"version": 6}).status_code == 403, path


def test_a_foreign_units_amendments_are_not_told(province, signed_in, directive):
    issuing.issue(province.chair, directive.pk, 1)
    issuing.remove_unit(province.chair, directive.pk, 2, unit=province.units["xa-mau"], reason="Lý do kín")
    assert "Lý do kín" not in signed_in(province.health).get(f"/directives/{directive.pk}/").content.decode()
    assert "Lý do kín" in signed_in(province.commune).get(f"/directives/{directive.pk}/").content.decode()


def test_a_draft_is_discarded(province, signed_in, directive):
    answer = signed_in(province.analyst).post(f"/directives/{directive.pk}/discard/", {"version": 1})
    assert answer["Location"] == "/directives/"
    assert not Directive.objects.exists()


@pytest.mark.parametrize("language", ["vi", "en"])
def test_minutes_notice_and_directive_are_saved_as_word_and_pdf(province, signed_in, session, directive, language):
    issuing.issue(province.chair, directive.pk, 1)
    client = signed_in(province.health, language)
    for name in ("minutes.docx", "minutes.pdf", "notice.docx", "notice.pdf"):
        body = client.get(f"/sessions/{session.pk}/{name}").content
        assert body.startswith(b"%PDF" if name.endswith("pdf") else b"PK"), name
    assert client.get(f"/directives/{directive.pk}/directive.pdf").content.startswith(b"%PDF")
    assert client.get(f"/directives/{directive.pk}/directive.docx").content.startswith(b"PK")
    assert signed_in(province.press).get(f"/sessions/{session.pk}/minutes.pdf").status_code == 404


@pytest.mark.parametrize(
    ("language", "error", "words"),
    [
        ("vi", PdfError, "Máy chủ thiếu thư viện Pango"),
        ("en", PdfError, "lacks the Pango library"),
        ("vi", TooLong, "Tệp quá lớn"),
        ("en", TooLong, "too large"),
    ],
)
def test_where_no_pdf_can_be_made_the_page_says_why(
    province, signed_in, session, directive, monkeypatch, language, error, words
):
    def missing(document, most):
        raise error("No PDF can be made", remedy="Install it.")

    monkeypatch.setattr("khien.console.exports.documents.render_pdf", missing)
    client = signed_in(province.analyst, language)
    for address in (f"/sessions/{session.pk}/minutes.pdf", f"/directives/{directive.pk}/directive.pdf"):
        response = client.get(address)
        assert response.status_code == 503
        assert words in response.content.decode()
        assert "Install it." not in response.content.decode()


def test_the_minutes_name_seats_absences_and_what_was_said(province, session):
    seat = Appointment.objects.create(
        seat="chair", person="Ông Mẫu", decision_number="1", decision_date="2026-01-01", starts_on="2026-01-01"
    )
    sessions.call(province.analyst, session.pk, None, appointments=[seat])
    rows = {row.pk: ("absent" if row.unit else "present", row.person, "Bão") for row in session.attendance.all()}
    sessions.record_attendance(province.analyst, session.pk, None, rows)
    session = sessions.write_minutes(province.analyst, session.pk, None, "Thống nhất cao.\nKhông ý kiến khác.")
    with override("en"):
        text = repr(minutes_of(province.analyst, session))
    for words in ("Ông Mẫu, Chair", "Sở Y tế (mẫu), Bão", "Đã nghe", "Thống nhất cao. Không ý kiến khác."):
        assert words in text


def test_a_planned_session_has_no_minutes_yet(province, signed_in):
    made = sessions.plan(province.analyst, title="x", starts_at=timezone.now())
    assert signed_in(province.analyst).get(f"/sessions/{made.pk}/minutes.pdf").status_code == 404


def test_lists_are_filtered_and_saved(province, signed_in, session, directive):
    issuing.issue(province.chair, directive.pk, 1, number=42)
    client = signed_in(province.analyst)
    found = lambda url: len(client.get(url).context["page"].object_list)  # noqa: E731
    assert found("/directives/?q=42/") == 1
    assert found("/directives/?q=42/XY") == 0
    assert found("/directives/?state=draft") == 0
    assert found(f"/directives/?session={session.pk}") == 1
    assert found("/directives/?overdue=1") == 0
    Task.objects.update(due_at=timezone.now() - timedelta(days=1))
    assert found("/directives/?overdue=1") == 1
    assert found("/sessions/?q=họp&state=held&kind=regular") == 1
    for url in ("/directives/?export=csv", "/sessions/?export=xlsx"):
        assert client.get(url)["Content-Disposition"].startswith("attachment")


def test_ten_times_the_rows_take_no_more_queries(province, signed_in, django_assert_max_num_queries):
    kind = province.units["xa-mau"].kind
    units = []
    for n in range(20):
        unit = Unit.objects.create(code=f"xa-{n}", name=f"Xã {n}", kind=kind, parent=province.units["tieu-ban"])
        unit.path = f"{province.units['tieu-ban'].path}{unit.pk}."
        unit.save()
        units.append(unit)
    made = sessions.plan(province.analyst, title="x", starts_at=timezone.now())
    due = timezone.now() + timedelta(days=3)

    def grow(times):
        for _n in range(times):
            sessions.set_agenda_item(province.analyst, made.pk, None, title="x")
            sessions.set_conclusion(province.analyst, made.pk, None, text="x")
            issued = issuing.draft(
                province.chair,
                title="x",
                text="x",
                due_at=due,
                units=dict.fromkeys(units[: times * 2]),
                conclusion=made.conclusions.last(),
            )
            issuing.issue(province.chair, issued.pk, 1)
            handling.accept_many(province.chair, issued.tasks.values_list("pk", flat=True))

    client = signed_in(province.analyst)
    urls = (
        "/directives/",
        f"/sessions/{made.pk}/",
        "/sessions/",
        "/tasks/boards/",
        f"/tasks/boards/?session={made.pk}",
    )
    grow(1)
    bounds = {}
    for url in urls:
        client.get(url)
        with django_assert_max_num_queries(45) as seen:
            client.get(url)
        bounds[url] = len(seen)
    grow(10)
    for url, bound in bounds.items():
        with django_assert_max_num_queries(bound):
            client.get(url)
