"""Coming in, staying in, being put out."""

import re
import statistics
import time
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import Person
from tests.views.conftest import Visitor
from webapp import clock
from webapp.views.login import EMAIL_ADDRESSES


def test_a_login_leads_to_the_overview(nobody: Visitor, admin: Person) -> None:
    response = nobody.log_in(admin)
    assert (response.status_code, response.location) == (303, "/")
    assert "Overview" in nobody.page("/")


def test_a_wrong_password_and_an_unknown_email_answer_alike(nobody: Visitor, admin: Person) -> None:
    wrong = nobody.client.post("/login", data={"email": admin.email, "password": "nope"})
    unknown = nobody.client.post("/login", data={"email": "x@nowhere.test", "password": "nope"})
    assert wrong.status_code == unknown.status_code == 422
    assert _shown(wrong.text).replace(admin.email, "x@nowhere.test") == _shown(unknown.text)


def _shown(html: str) -> str:
    """A page without its form tokens, which carry the second they were made in."""
    return re.sub(r"[\w.-]{60,}", "token", html)


def test_an_unknown_email_answers_no_faster(nobody: Visitor, admin: Person, app: Flask) -> None:
    """The factory's hash is cheap, so what is measured is that nobody's hash is spent at all: in
    the processor's time, which a crowded machine doesn't lengthen."""

    def seconds() -> float:
        began = time.process_time()
        nobody.client.post("/login", data={"email": "x@nowhere.test", "password": "nope"})
        return time.process_time() - began

    empty = [_timed_empty(nobody) for _ in range(3)]
    assert statistics.median([seconds() for _ in range(3)]) > statistics.median(empty) + 0.01


def test_a_refusal_takes_the_same_time_whoever_it_is_about(
    nobody: Visitor, admin: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a known person's is written into the audit log."""
    monkeypatch.setitem(app.config, "EVEN_TIME_SECONDS", 0.3)
    for email in (admin.email, "x@nowhere.test"):
        began = time.monotonic()
        answer = nobody.client.post("/login", data={"email": email, "password": "nope"})
        assert answer.status_code == 422
        assert time.monotonic() - began >= 0.3


def _timed_empty(visitor: Visitor) -> float:
    began = time.process_time()
    visitor.client.get("/login")
    return time.process_time() - began


def test_logins_are_audited(nobody: Visitor, admin: Person, owner_engine: Engine) -> None:
    nobody.client.post("/login", data={"email": admin.email, "password": "nope"})
    nobody.log_in(admin)
    with owner_engine.connect() as connection:
        actions = connection.execute(text("SELECT action FROM audit_entries ORDER BY id"))
        assert list(actions.scalars()) == ["login_failed", "logged_in"]


def test_a_disabled_person_stays_out(nobody: Visitor, admin: Person, owner_engine: Engine) -> None:
    nobody.log_in(admin)
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE users SET is_enabled = false"))
    assert nobody.get("/").status_code == 303
    assert nobody.log_in(admin).status_code == 422


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/\t/evil.test"],
)
def test_next_never_leads_to_another_site(nobody: Visitor, admin: Person, wanted: str) -> None:
    response = nobody.client.post(
        "/login",
        query_string={"next": wanted},
        data={"email": admin.email, "password": admin.password},
    )
    assert response.location == "/"


def test_after_the_login_one_is_where_one_wanted_to_be(nobody: Visitor, admin: Person) -> None:
    sent_away = nobody.get("/appointments?sync=review")
    assert sent_away.location == "/login?next=/appointments?sync%3Dreview"
    response = nobody.client.post(
        sent_away.location, data={"email": admin.email, "password": admin.password}
    )
    assert response.location == "/appointments?sync=review"


def test_a_stranger_who_guesses_keeps_nobody_out(
    nobody: Visitor, app: Flask, admin: Person
) -> None:
    allowed = app.extensions["settings"].login_attempts_per_minute
    codes = [
        nobody.client.post(
            "/login",
            data={"email": admin.email, "password": "nope"},
            environ_base={"REMOTE_ADDR": "127.0.1.1"},
        ).status_code
        for _ in range(allowed + 1)
    ]
    assert codes == [422] * allowed + [429]
    assert Visitor(app).log_in(admin).status_code == 303


def test_guessing_from_everywhere_at_one_email_is_slowed_down_too(
    nobody: Visitor, admin: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert EMAIL_ADDRESSES >= 10
    monkeypatch.setattr("webapp.views.login.EMAIL_ADDRESSES", 2)
    allowed = 2 * app.extensions["settings"].login_attempts_per_minute
    form = {"email": admin.email, "password": "nope"}
    codes = [
        nobody.client.post(
            "/login", data=form, environ_base={"REMOTE_ADDR": f"127.0.1.{number}"}
        ).status_code
        for number in range(allowed + 1)
    ]
    assert codes == [422] * allowed + [429]


def test_too_many_attempts_from_one_address_are_slowed_down(nobody: Visitor, app: Flask) -> None:
    allowed = app.extensions["settings"].login_attempts_per_minute
    codes = [
        nobody.client.post(
            "/login", data={"email": f"{number}@x.test", "password": "nope"}
        ).status_code
        for number in range(allowed + 1)
    ]
    assert codes[-1] == 429


def test_logging_out_needs_a_post_and_ends_the_session(at_admin: Visitor) -> None:
    assert at_admin.get("/logout").status_code == 405
    assert at_admin.post("/logout").location == "/login"
    assert at_admin.get("/").status_code == 303


def test_an_idle_session_ends(at_admin: Visitor, app: Flask) -> None:
    clock.advance(timedelta(minutes=app.extensions["settings"].session_idle_minutes, seconds=1))
    assert at_admin.get("/").location == "/login"
    assert "Your session has ended" in at_admin.page("/login")


def test_a_page_that_polls_keeps_nobody_logged_in(at_admin: Visitor, app: Flask) -> None:
    idle = app.extensions["settings"].session_idle_minutes
    for _ in range(3):
        clock.advance(timedelta(minutes=idle / 2 - 1))
        polled = at_admin.get("/cards?poll", htmx=True)
    assert polled.headers["HX-Redirect"].startswith("/login")


def test_clicks_keep_one_logged_in(at_admin: Visitor, app: Flask) -> None:
    idle = app.extensions["settings"].session_idle_minutes
    for _ in range(3):
        clock.advance(timedelta(minutes=idle / 2 + 1))
        assert at_admin.get("/").status_code == 200


def test_an_expired_login_under_htmx_goes_to_the_login_and_back(nobody: Visitor) -> None:
    response = nobody.get(
        "/cards?poll", htmx=True, **{"HX-Current-URL": "http://localhost/reviews?type=sync_failed"}
    )
    assert response.status_code == 200
    assert response.headers["HX-Redirect"] == "/login?next=/reviews?type%3Dsync_failed"
    assert response.text == ""


def test_a_forged_session_is_nobody(nobody: Visitor) -> None:
    for identity in ("1:1", "99999999999999999999:1", "x", "-1:1", "1"):
        with nobody.client.session_transaction() as session:
            session["_user_id"] = identity
            session["seen_at"] = clock.now().timestamp()
        assert nobody.get("/").status_code == 303, identity
