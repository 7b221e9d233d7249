"""Errors say what happened, what to do, and an id; to programs in JSON, to htmx as a toast."""

import pytest
from flask import Flask, abort

from tests.views.conftest import Visitor
from tests.views.markup import find

CODES = (400, 401, 403, 404, 405, 413, 422, 429, 500)


@pytest.fixture
def breaking(app: Flask, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An app that answers 500 as in production instead of raising."""
    monkeypatch.setitem(app.config, "TESTING", False)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    return monkeypatch


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_error_has_its_page_in_both_languages(
    app: Flask, at_admin: Visitor, breaking: pytest.MonkeyPatch, code: int, language: str
) -> None:
    at_admin.post("/profile/language", {"language": language})
    breaking.setitem(app.view_functions, "overview.show", lambda: abort(code))
    response = at_admin.get("/")
    assert response.status_code == code
    assert len(find(response.text, "h1")) == 1
    assert response.headers["X-Request-ID"] in response.text
    assert f'<html lang="{language}"' in response.text


def test_a_crash_is_an_error_page_with_the_id_of_the_log(
    app: Flask, at_admin: Visitor, breaking: pytest.MonkeyPatch
) -> None:
    breaking.setitem(app.view_functions, "overview.show", lambda: 1 / 0)
    response = at_admin.get("/")
    assert response.status_code == 500
    assert "Something went wrong on our side" in response.text


def test_a_crash_within_the_database_still_gets_its_page(
    app: Flask, at_admin: Visitor, breaking: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import text

    from webapp.extensions import db

    breaking.setitem(
        app.view_functions, "overview.show", lambda: db.session.execute(text("SELECT 1/0"))
    )
    assert at_admin.get("/").status_code == 500


def test_an_unknown_address_is_404_also_for_strangers(nobody: Visitor) -> None:
    response = nobody.get("/nowhere")
    assert response.status_code == 404
    assert "There is nothing here" in response.text


def test_programs_get_json(nobody: Visitor) -> None:
    response = nobody.get("/nowhere", Accept="application/json")
    assert response.is_json
    assert response.get_json()["status"] == 404
    assert response.get_json()["request_id"] == response.headers["X-Request-ID"]


def test_the_webhooks_errors_are_json(nobody: Visitor) -> None:
    response = nobody.post("/webhooks/calcom/no-such-token")
    assert response.status_code == 404
    assert response.is_json


def test_htmx_gets_a_toast(at_admin: Visitor) -> None:
    response = at_admin.get("/appointments/999/sync", htmx=True)
    assert response.status_code == 404
    assert response.headers["HX-Retarget"] == "#toasts"
    assert "<html" not in response.text


def test_a_browser_in_german_reads_german_before_the_login(nobody: Visitor) -> None:
    page = nobody.get("/nowhere", **{"Accept-Language": "de-AT,de;q=0.9"}).text
    assert "Hier ist nichts" in page


def test_a_wrong_method_names_the_right_ones(at_admin: Visitor) -> None:
    response = at_admin.client.delete("/reviews")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


class TestWithTokens:
    """The tests run without form tokens; these do not."""

    @pytest.fixture(autouse=True)
    def _tokens(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)

    def test_a_post_without_a_token_is_refused(self, app: Flask, nobody: Visitor) -> None:
        response = nobody.post("/login", {"email": "a@b.test", "password": "x"})
        assert response.status_code == 400
        assert "This page was open too long" in response.text

    def test_a_page_carries_the_token_for_forms_and_for_htmx(
        self, app: Flask, nobody: Visitor
    ) -> None:
        page = nobody.page("/login")
        [field] = find(page, "input", name="csrf_token")
        assert field.attributes["value"] in find(page, "body")[0].attributes["hx-headers"]
        form = {
            "email": "a@b.test",
            "password": "x",
            "csrf_token": field.attributes["value"],
        }
        assert nobody.post("/login", form).status_code == 422

    def test_without_a_session_a_stale_form_leads_to_the_login(self, nobody: Visitor) -> None:
        assert nobody.post("/verifications").location == "/login"
        assert nobody.post("/verifications", htmx=True).headers["HX-Redirect"] == "/login"
