"""The admin's switch, its confirmation, and the banner that stands on every page meanwhile."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.desk import Desk
from tests.factories import Person, Tenant, make_appointment, make_person
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import Element, find, words
from webapp.models.sync_state import SyncState
from webapp.models.user import Role
from webapp.sandbox.server import RunningSandbox

Make = Callable[..., int]
PAGES = ("/appointments", "/appointments/new", "/reviews", "/notifications", "/profile")
BANNER = "Sending to Cal.com is paused"


@pytest.fixture
def pauses(owner_engine: Engine) -> Callable[[], dict[int, str | None]]:
    """Who paused which company."""

    def read() -> dict[int, str | None]:
        with owner_engine.connect() as connection:
            rows = connection.execute(text("SELECT id, paused_by FROM companies ORDER BY id"))
            return {row.id: row.paused_by for row in rows}

    return read


def _audit(owner_engine: Engine) -> list[tuple[str, str, int]]:
    with owner_engine.connect() as connection:
        rows = connection.execute(
            text("SELECT action, actor, user_id FROM audit_entries WHERE action LIKE 'company.%'")
        )
        return [tuple(row) for row in rows]


def _add_waiting_change(owner_engine: Engine, tenant: Tenant, appointment_id: int) -> None:
    with owner_engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO intents (company_id, appointment_id, kind, status, origin,"
                " is_interactive, created_at, due_at, attempt_count, has_unknown_outcome,"
                " sent_starts) VALUES (:company, :appointment, 'create', 'waiting', 'admin',"
                " true, now(), now(), 0, false, '{}')"
            ),
            {"company": tenant.id, "appointment": appointment_id},
        )


def _banners(html: str) -> list[Element]:
    return [
        each
        for each in find(html, "div")
        if "banner" in each.attributes.get("class", "").split() and BANNER in each.text
    ]


def test_an_admin_pauses_after_a_question_without_javascript(
    at_admin: Visitor,
    company: Tenant,
    admin: Person,
    pauses: Callable[[], dict[int, str | None]],
    owner_engine: Engine,
) -> None:
    assert find(at_admin.page("/settings"), "a", href="/pauses")
    question = at_admin.page("/pauses")
    assert "does not reach Cal.com" in question
    assert find(question, "form", method="post", action="/pauses")

    answer = at_admin.post("/pauses")

    assert answer.status_code == 303
    assert answer.location == "/settings"
    assert "Paused. Changes are kept here" in at_admin.page("/settings")
    assert pauses() == {company.id: "Admin of sonnenschein"}
    assert _audit(owner_engine) == [("company.paused", "user", admin.id)]


def test_an_admin_resumes_without_javascript(
    at_admin: Visitor,
    company: Tenant,
    admin: Person,
    pauses: Callable[[], dict[int, str | None]],
    owner_engine: Engine,
) -> None:
    at_admin.post("/pauses")
    assert find(at_admin.page("/settings"), "form", action="/pauses/resumptions")

    answer = at_admin.post("/pauses/resumptions")

    assert answer.status_code == 303
    page = at_admin.page(answer.location)
    assert "Resumed. Nothing had to wait." in page
    assert BANNER not in page
    assert pauses() == {company.id: None}
    assert _audit(owner_engine) == [
        ("company.paused", "user", admin.id),
        ("company.resumed", "user", admin.id),
    ]


def test_under_htmx_the_question_is_a_dialog_and_the_answer_a_new_page(at_admin: Visitor) -> None:
    question = at_admin.get("/pauses", htmx=True).text
    assert "<html" not in question
    assert find(question, "form", id="confirmation", hx_post="/pauses")

    for path, then in (("/pauses", "/settings"), ("/pauses/resumptions", "/")):
        answer = at_admin.post(path, htmx=True)
        assert answer.status_code == 200
        assert answer.headers["HX-Redirect"] == then


def test_asking_changes_nothing(
    at_admin: Visitor,
    company: Tenant,
    pauses: Callable[[], dict[int, str | None]],
    owner_engine: Engine,
) -> None:
    at_admin.get("/pauses")
    at_admin.get("/pauses", htmx=True)
    assert at_admin.get("/pauses/resumptions").status_code == 405

    assert pauses() == {company.id: None}
    assert _audit(owner_engine) == []


def test_doing_it_twice_says_so_and_is_audited_once(
    at_admin: Visitor, owner_engine: Engine
) -> None:
    at_admin.post("/pauses")
    at_admin.post("/pauses")
    assert "Sending was paused already." in at_admin.page("/settings")
    at_admin.post("/pauses/resumptions")
    at_admin.post("/pauses/resumptions")
    assert "Sending was not paused." in at_admin.page("/")
    assert [action for action, _, _ in _audit(owner_engine)] == [
        "company.paused",
        "company.resumed",
    ]


def test_managers_and_staff_neither_pause_nor_resume(
    at_manager: Visitor,
    at_staff: Visitor,
    company: Tenant,
    pauses: Callable[[], dict[int, str | None]],
) -> None:
    for visitor in (at_manager, at_staff):
        assert visitor.get("/pauses").status_code == 403
        assert visitor.post("/pauses").status_code == 403
        assert visitor.post("/pauses/resumptions").status_code == 403
    assert pauses() == {company.id: None}


def test_a_stranger_moves_their_own_switch_only(
    at_admin: Visitor,
    at_stranger: Visitor,
    company: Tenant,
    other_company: Tenant,
    pauses: Callable[[], dict[int, str | None]],
) -> None:
    at_admin.post("/pauses")

    at_stranger.post("/pauses/resumptions", {"company_id": str(company.id)})
    assert pauses() == {company.id: "Admin of sonnenschein", other_company.id: None}
    assert BANNER not in at_stranger.page("/")

    at_admin.post("/pauses/resumptions")
    at_stranger.post("/pauses", {"company_id": str(company.id)})
    assert pauses() == {company.id: None, other_company.id: "Admin of blau"}


def test_every_page_says_since_when_by_whom_and_how_many_wait(
    at_admin: Visitor,
    at_staff: Visitor,
    company: Tenant,
    make: Make,
    owner_engine: Engine,
) -> None:
    appointment_id = make(make_appointment, company, state=SyncState.PENDING)
    _add_waiting_change(owner_engine, company, appointment_id)
    at_admin.post("/pauses")

    for path in ("/", *PAGES, f"/appointments/{appointment_id}", "/settings", "/pauses"):
        html = at_admin.page(path)
        [banner] = _banners(html)
        said = words(banner.text)
        assert "Paused by Admin of sonnenschein just now. 1 change waits." in said, path
        assert find(html, "form", action="/pauses/resumptions"), path
    for path in ("/", "/appointments", "/reviews", "/notifications", "/profile"):
        assert len(_banners(at_staff.page(path))) == 1, path


def test_the_exact_time_of_the_pause_shows_on_hover(
    at_admin: Visitor, company: Tenant, owner_engine: Engine
) -> None:
    with owner_engine.begin() as connection:
        connection.execute(
            text("UPDATE companies SET paused_by = 'Paula', paused_at = '2026-01-05T13:30Z'")
        )
    [since] = find(at_admin.page("/profile"), "time", datetime="2026-01-05T13:30:00Z")
    assert since.attributes["title"] == "Mon 5 Jan 2026, 14:30"


def test_only_admins_find_the_button_to_resume(
    at_admin: Visitor, at_manager: Visitor, at_staff: Visitor
) -> None:
    at_admin.post("/pauses")

    assert "/pauses/resumptions" in at_admin.page("/reviews")
    for visitor in (at_manager, at_staff):
        page = visitor.page("/reviews")
        assert BANNER in page
        assert "/pauses" not in page


def test_an_operators_pause_is_named_as_such(at_admin: Visitor, owner_engine: Engine) -> None:
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE companies SET paused_at = now(), paused_by = 'operator'"))
    for path in ("/profile", "/settings"):
        page = at_admin.page(path)
        assert "Paused by your operator" in page
        assert "Only your operator can lift it." in page
        assert "/pauses/resumptions" not in page

    at_admin.post("/pauses/resumptions")

    assert "only they can lift it" in at_admin.page("/")
    assert BANNER in at_admin.page("/profile")


def test_an_admin_who_is_called_so_does_not_pass_for_the_operator(
    at_admin: Visitor,
    admin: Person,
    company: Tenant,
    pauses: Callable[[], dict[int, str | None]],
    owner_engine: Engine,
) -> None:
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE users SET name = 'operator'"))
    at_admin.post("/pauses")
    assert pauses() == {company.id: admin.email}
    at_admin.post("/pauses/resumptions")
    assert pauses() == {company.id: None}


def test_the_banner_and_the_question_speak_german(make: Make, company: Tenant, app: Flask) -> None:
    visitor = Visitor(app)
    visitor.log_in(make(make_person, company, Role.ADMIN, locale="de"))  # type: ignore[arg-type]
    assert "Übertragung an Cal.com anhalten?" in visitor.page("/pauses")

    visitor.post("/pauses")
    page = visitor.page("/settings")

    said = "Angehalten von Admin of sonnenschein gerade eben. 0 Änderungen warten."
    assert "Angehalten. Änderungen bleiben hier" in page
    [banner] = find(page, "div", class_="alert alert-warning banner")
    assert said in words(banner.text)
    assert "Übertragung fortsetzen" in page
    visitor.post("/pauses/resumptions")
    assert "Fortgesetzt. Es hatte nichts gewartet." in visitor.page("/")


def test_the_banner_costs_one_query_while_paused_and_else_none(
    app: Flask, at_admin: Visitor
) -> None:
    counts = []
    for _ in range(2):
        with count_statements(app) as seen:
            for path in PAGES:
                at_admin.page(path)
        counts.append(len(seen))
        at_admin.post("/pauses")
    running, paused = counts
    assert paused - running == len(PAGES)


def test_fragments_and_errors_ask_nothing_about_the_pause(app: Flask, at_admin: Visitor) -> None:
    at_admin.post("/pauses")
    with count_statements(app) as seen:
        at_admin.get("/notifications/badge?poll=", htmx=True)
        at_admin.get("/nowhere")
    assert not [each for each in seen if "intents" in each]


def test_what_waited_reaches_calcom_after_the_admin_resumes(
    app: Flask, sandbox: RunningSandbox
) -> None:
    with app.app_context():
        desk = Desk(sandbox)
        admin = make_person(desk.company, Role.ADMIN)
    visitor = Visitor(app)
    visitor.log_in(admin)
    visitor.post("/pauses")
    with app.app_context():
        desk.book()
        desk.work()
    assert desk.cal.bookings() == []
    assert "1 change waits." in words(visitor.page("/appointments"))

    visitor.post("/pauses/resumptions")
    assert "1 change that waited is being sent now." in visitor.page("/")

    with app.app_context():
        desk.work()
    assert len(desk.cal.live_bookings()) == 1
