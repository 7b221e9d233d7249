"""One's own language, look and password."""

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import PASSWORD, Person
from tests.views.conftest import Visitor
from tests.views.markup import find

NEW = "a better one than before"


def _change(visitor: Visitor, **changes: str) -> int:
    form = {"current": PASSWORD, "new": NEW, "repeated": NEW, **changes}
    return visitor.post("/profile/password", form).status_code


def test_the_language_changes_for_the_next_page(at_staff: Visitor) -> None:
    at_staff.post("/profile/language", {"language": "de"})
    page = at_staff.page("/profile")
    assert '<html lang="de"' in page
    assert "Sprache geändert." in page
    assert at_staff.post("/profile/language", {"language": "fr"}).status_code == 422


def test_the_look_is_applied_by_the_server(at_staff: Visitor) -> None:
    assert "data-bs-theme" not in find(at_staff.page("/"), "html")[0].attributes
    at_staff.post("/profile/theme", {"theme": "dark"})
    assert find(at_staff.page("/"), "html")[0].attributes["data-bs-theme"] == "dark"
    assert at_staff.post("/profile/theme", {"theme": "pink"}).status_code == 422


def test_a_new_password_ends_the_other_sessions_and_not_this_one(
    app: Flask, at_staff: Visitor, staff: Person, owner_engine: Engine
) -> None:
    elsewhere = Visitor(app)
    elsewhere.log_in(staff)
    assert _change(at_staff) == 303
    assert at_staff.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 303
    assert elsewhere.log_in(staff, PASSWORD).status_code == 422
    assert elsewhere.log_in(staff, NEW).status_code == 303
    with owner_engine.connect() as connection:
        query = text("SELECT count(*) FROM audit_entries WHERE action = 'password_changed'")
        assert connection.execute(query).scalar_one() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"current": "wrong"},
        {"new": "short", "repeated": "short"},
        {"repeated": "something else"},
        {"new": "x" * 1025, "repeated": "x" * 1025},
    ],
)
def test_a_password_is_not_changed_carelessly(
    at_staff: Visitor, staff: Person, app: Flask, changes: dict[str, str]
) -> None:
    assert _change(at_staff, **changes) == 422
    assert Visitor(app).log_in(staff, PASSWORD).status_code == 303


def test_guessing_the_current_password_is_slowed_down(at_staff: Visitor, app: Flask) -> None:
    allowed = app.extensions["settings"].login_attempts_per_minute
    codes = [_change(at_staff, current="wrong") for _ in range(allowed + 1)]
    assert codes[-1] == 429
