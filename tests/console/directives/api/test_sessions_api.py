"""Sessions and directives through the API: planned, held, concluded, drafted, issued, amended, withdrawn."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from console_api import Api
from khien.console.accounts.keys import scopes_for
from khien.console.api.presenting import present
from khien.console.audit.models import Entry
from khien.console.directives import issuing, sessions
from khien.console.directives.models import Directive, Session, Task, TaskState

pytestmark = pytest.mark.django_db
SCOPES = ("directives:read", "directives:write", "tasks:read")
LATER = "2031-01-01T00:00:00Z"


@pytest.fixture
def office(province):
    return Api(province.analyst, *SCOPES)


@pytest.fixture
def chair(province):
    return Api(province.chair, *SCOPES)


@pytest.fixture
def unit(province):
    return Api(province.health, *SCOPES)


def planned(api, **fields):
    answer = api("POST", "/sessions", {"title": "Phiên quý", "starts_at": "2026-11-20T01:00:00Z", **fields})
    assert answer.status_code == 201, answer.content
    return answer.json()


def drafted(api, province, *codes, **fields):
    units = [{"unit": province.units[code].pk} for code in codes or ("so-y-te",)]
    asked = {"title": "Vá máy chủ", "text": "Các đơn vị vá.", "due_at": LATER, "units": units, **fields}
    answer = api("POST", "/directives", asked)
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_a_session_is_planned_called_held_concluded_and_becomes_a_directive(province, office, chair, unit):
    made = planned(office, secretary=province.analyst.pk)
    path = f"/sessions/{made['id']}"
    changed = office("PATCH", path, {"version": made["version"], "place": "Phòng 1", "chair": province.chair.pk}).json()
    assert (changed["place"], changed["chair"]["id"], changed["secretary"]["id"], changed["title"]) == (
        "Phòng 1", province.chair.pk, province.analyst.pk, "Phiên quý",
    )  # fmt: skip
    assert office("PATCH", path, {"version": changed["version"], "secretary": None}).json()["secretary"] is None
    assert office("PATCH", path, {"version": made["version"], "place": "x"}).status_code == 409
    for title in ("Một", "Hai"):
        office("POST", f"{path}/agenda", {"title": title})
    one, two = office("GET", path).json()["agenda"]
    office("PUT", f"{path}/agenda/{one['id']}", {"title": "Một", "presenter": "Sở", "notes": "Đã bàn"})
    moved = office("POST", f"{path}/agenda/{one['id']}/move", {"up": False}).json()["agenda"]
    assert [(each["title"], each["notes"]) for each in moved] == [("Hai", ""), ("Một", "Đã bàn")]
    left = office("DELETE", f"{path}/agenda/{two['id']}").json()["agenda"]
    assert [(each["title"], each["position"]) for each in left] == [("Một", 1)]

    assert unit("GET", path).status_code == 404
    units = [province.units["so-y-te"].pk, province.units["xa-mau"].pk]
    called = office("POST", f"{path}/call", {"units": units}).json()["attendance"]
    assert [each["unit"]["code"] for each in called] == ["so-y-te", "xa-mau"]
    assert unit("GET", path).status_code == 200
    rows = [{"id": called[0]["id"], "presence": "substitute"}]
    assert office("POST", f"{path}/attendance", {"rows": rows}).status_code == 422
    came = office("POST", f"{path}/attendance", {"rows": [{**rows[0], "person": "Người thay"}]}).json()["attendance"]
    assert [(each["presence"], each["person"]) for each in came] == [("substitute", "Người thay"), ("invited", "")]
    assert office("POST", f"{path}/attendance", {"rows": [{"id": 999_999, "presence": "present"}]}).status_code == 404
    assert len(office("DELETE", f"{path}/attendance/{called[1]['id']}").json()["attendance"]) == 1

    assert office("POST", f"{path}/conclude", {}).status_code == 422
    assert unit("GET", f"{path}/documents/minutes/docx").status_code == 404
    office("POST", f"{path}/hold", {})
    office("PUT", f"{path}/minutes", {"minutes": "Đã họp."})
    office("POST", f"{path}/conclusions", {"text": "Vá trong tháng"})
    two = office("POST", f"{path}/conclusions", {"text": "Thừa"}).json()["conclusions"][1]
    assert len(office("DELETE", f"{path}/conclusions/{two['id']}").json()["conclusions"]) == 1
    conclusion = office("GET", path).json()["conclusions"][0]["id"]
    office("PUT", f"{path}/conclusions/{conclusion}", {"text": "Vá trong quý"})
    assert office("POST", f"{path}/conclude", {}).json()["state"] == "concluded"
    assert office("PUT", f"{path}/minutes", {"minutes": "khác"}).status_code == 422
    assert office("POST", f"{path}/reopen", {}).status_code == 403

    directive = drafted(office, province, conclusion=conclusion)
    assert office("POST", f"/directives/{directive['id']}/issue", {}).status_code == 403
    issued = chair("POST", f"/directives/{directive['id']}/issue", {"version": directive["version"]}).json()
    assert (issued["state"], issued["signer"]["id"], len(issued["tasks"])) == ("issued", province.chair.pk, 1)
    seen = unit("GET", path).json()
    assert (seen["minutes"], seen["conclusions"][0]["text"]) == ("Đã họp.", "Vá trong quý")
    assert seen["conclusions"][0]["directives"] == [directive["id"]]
    assert chair("POST", f"{path}/reopen", {}).json()["state"] == "held"


def test_points_of_another_session_are_not_touched(province, office):
    one, other = planned(office), planned(office)
    office("POST", f"/sessions/{one['id']}/agenda", {"title": "Của một"})
    item = office("GET", f"/sessions/{one['id']}").json()["agenda"][0]["id"]
    assert office("PUT", f"/sessions/{other['id']}/agenda/{item}", {"title": "x"}).status_code == 404
    assert office("DELETE", f"/sessions/{other['id']}/agenda/{item}").status_code == 404
    assert office("GET", f"/sessions/{one['id']}").json()["agenda"][0]["title"] == "Của một"


@pytest.mark.parametrize(
    "wrong", [{"ends_at": "2026-11-20T00:00:00Z"}, {"title": "  "}, {"kind": "other"}, {"number": "PH-1"}]
)
def test_a_session_that_makes_no_sense_is_refused(province, office, wrong):
    planned(office, number="PH-1")
    asked = {"title": "Phiên", "starts_at": "2026-11-20T01:00:00Z", **wrong}
    assert office("POST", "/sessions", asked).status_code == 422
    assert Session.objects.count() == 1


def test_only_people_who_may_open_sessions_chair_them(province, office):
    people = {each["id"] for each in office("GET", "/sessions/people").json()}
    assert province.chair.pk in people
    assert province.auditor.pk not in people
    asked = {"title": "Phiên", "starts_at": "2026-11-20T01:00:00Z", "chair": province.auditor.pk}
    assert office("POST", "/sessions", asked).status_code == 404


def test_sessions_and_directives_are_filtered_as_on_the_pages(province, office, chair, unit):
    first, second = planned(office), planned(office, title="Diễn tập", kind="thematic")
    ids = lambda path: [each["id"] for each in office("GET", path).json()["items"]]  # noqa: E731
    assert ids("/sessions?q=dien%20tap") == [second["id"]]
    assert ids("/sessions?kind=regular&state=planned") == [first["id"]]
    conclusion = office("POST", f"/sessions/{first['id']}/conclusions", {"text": "Vá"}).json()["conclusions"][0]["id"]
    of_session, other = drafted(office, province, conclusion=conclusion), drafted(office, province, title="Rà soát")
    assert ids(f"/directives?session={first['id']}") == [of_session["id"]]
    assert ids("/directives?q=ra%20soat") == [other["id"]]
    chair("POST", f"/directives/{other['id']}/issue", {})
    assert ids("/directives?state=issued") == [other["id"]]
    assert ids("/directives?overdue=true") == []
    Task.objects.update(due_at=timezone.now() - timedelta(days=1))
    assert ids("/directives?overdue=true") == [other["id"]]
    assert [each["id"] for each in unit("GET", "/directives").json()["items"]] == [other["id"]]


def test_a_draft_is_changed_and_discarded(province, office):
    made = drafted(office, province, "so-y-te", "xa-mau")
    path = f"/directives/{made['id']}"
    changed = office("PATCH", path, {"version": made["version"], "title": "Vá ngay"}).json()
    assert (changed["title"], changed["text"]) == ("Vá ngay", "Các đơn vị vá.")
    assert {each["unit"]["code"] for each in changed["units"]} == {"so-y-te", "xa-mau"}
    units = [{"unit": province.units["xa-mau"].pk, "due_at": "2031-02-01T00:00:00Z"}]
    told = office("PATCH", path, {"version": changed["version"], "units": units}).json()["units"]
    assert [(each["unit"]["code"], each["due_at"]) for each in told] == [("xa-mau", "2031-02-01T00:00:00Z")]
    assert office("PATCH", path, {"version": made["version"], "title": "x"}).status_code == 409
    assert office("POST", f"{path}/discard", {"version": made["version"]}).status_code == 409
    assert office("POST", f"{path}/discard", {}).status_code == 204
    assert not Directive.objects.exists()


def test_an_issued_directive_is_amended_by_the_chair_with_reasons(province, office, chair, unit):
    made = drafted(office, province)
    path = f"/directives/{made['id']}"
    chair("POST", f"{path}/issue", {})
    health, commune = province.units["so-y-te"].pk, province.units["xa-mau"].pk
    due = {"due_at": "2031-03-01T00:00:00Z", "reason": "Chờ vật tư"}
    assert office("POST", f"{path}/amend-due", due).status_code == 403
    assert chair("POST", f"{path}/amend-due", due).json()["due_at"] == "2031-03-01T00:00:00Z"
    assert Task.objects.get(unit=health).due_at.isoformat() == "2031-03-01T00:00:00+00:00"
    assert chair("POST", f"{path}/remove-unit", {"unit": health, "reason": "x"}).status_code == 422
    added = chair("POST", f"{path}/add-unit", {"unit": commune, "reason": "Thêm"}).json()
    assert len(added["tasks"]) == 2
    assert {each["kind"] for each in unit("GET", path).json()["amendments"]} == {"due"}
    left = chair("POST", f"{path}/remove-unit", {"unit": health, "reason": "Không liên quan"}).json()
    assert [each["kind"] for each in left["amendments"]] == ["due", "unit_added", "unit_removed"]
    assert Task.objects.get(unit=health).state == TaskState.CANCELLED
    assert chair("POST", f"{path}/withdraw", {"reason": "Hết cần"}).json()["end_reason"] == "Hết cần"


def test_a_conclusion_of_a_session_one_does_not_see_is_not_named(province, office):
    session = sessions.plan(province.analyst, title="Kín", starts_at=timezone.now())
    session = sessions.call(province.analyst, session.pk, None, units=[province.units["xa-mau"]])
    session = sessions.set_conclusion(province.analyst, session.pk, None, text="Vá")
    conclusion = session.conclusions.get()
    units = {province.units[code]: None for code in ("so-y-te", "xa-mau")}
    due = timezone.now() + timedelta(days=9)
    draft = issuing.draft(province.analyst, title="Vá", text="Vá", due_at=due, units=units, conclusion=conclusion)
    made = issuing.issue(province.chair, draft.pk, None)
    for person, expected in (
        (province.health, None),
        (province.commune, conclusion.pk),
        (province.chair, conclusion.pk),
    ):
        api = Api(person, "directives:read")
        assert api("GET", f"/directives/{made.pk}").json()["conclusion"] == expected
        assert api("GET", "/directives").json()["items"][0]["conclusion"] == expected
        assert present(person, made)["conclusion"] == expected
        title = "" if expected is None else " Kín"
        board = Api(person, "tasks:read")("GET", "/tasks/boards?by=session").json()
        assert [each["name"] for each in board] == [f"{session.number}{title}"]
    asked = {"title": "x", "text": "x", "due_at": LATER, "units": [{"unit": 1}], "conclusion": conclusion.pk}
    assert Api(province.health, *SCOPES)("POST", "/directives", asked).status_code == 403


@pytest.mark.parametrize("kind", ["docx", "pdf"])
def test_documents_are_saved_as_on_the_pages_and_traced(province, office, chair, unit, kind):
    made = drafted(office, province)
    path = f"/directives/{made['id']}/document/{kind}"
    assert unit("GET", path).status_code == 404
    chair("POST", f"/directives/{made['id']}/issue", {})
    answer = unit("GET", path)
    assert answer.status_code == 200
    assert answer.content.startswith(b"PK" if kind == "docx" else b"%PDF")
    assert f'.{kind}"' in answer["Content-Disposition"]
    assert Entry.objects.filter(action="export", actor=province.health).count() == 1
    assert Api(province.commune, *SCOPES)("GET", path).status_code == 404


def test_the_standing_office_has_a_key_to_prepare_and_a_unit_has_none(province, unit):
    assert "directives:write" in dict(scopes_for(province.analyst))
    assert "directives:write" not in dict(scopes_for(province.health))
    assert unit("POST", "/sessions", {"title": "x", "starts_at": LATER}).status_code == 403


def test_lists_ask_the_database_a_bounded_number_of_times(province, office, django_assert_max_num_queries):
    session = planned(office)
    conclusion = office("POST", f"/sessions/{session['id']}/conclusions", {"text": "Vá"}).json()["conclusions"][0]["id"]
    for _ in range(20):
        drafted(office, province, conclusion=conclusion)
        planned(office, chair=province.chair.pk)
    with django_assert_max_num_queries(12):
        assert len(office("GET", "/directives").json()["items"]) == 20
    with django_assert_max_num_queries(12):
        assert len(office("GET", "/sessions").json()["items"]) == 21
