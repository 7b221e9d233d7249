"""API tokens in the settings: made once the password is confirmed, shown once, revoked for good."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from tests.factories import PASSWORD, Person, Tenant, Token, make_person, make_token
from tests.views.conftest import Visitor
from tests.views.markup import by_id, find, words
from webapp import clock
from webapp.models.user import Role

PAGE = "/settings/tokens"
TOKEN = re.compile(r"ls_[\w-]{43}")


def _create(visitor: Visitor, **changes: Any) -> TestResponse:
    form = {"name": "Shop", "scopes": ["stats:read"], "expiry": "30", "current": PASSWORD}
    return visitor.client.post(PAGE, data={**form, **changes})


def _use(app: Flask, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client().get("/api/v1/stats", headers=headers).status_code


def _audit(owner_engine: Engine) -> list[tuple[str, str, int]]:
    query = (
        "SELECT action, actor, user_id FROM audit_entries"
        " WHERE action LIKE 'api_token.%' OR action = 'reauthentication_failed' ORDER BY id"
    )
    with owner_engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_an_admin_makes_a_token_that_is_shown_this_once(
    app: Flask, at_admin: Visitor, admin: Person, owner_engine: Engine
) -> None:
    answer = _create(at_admin)

    assert answer.status_code == 201
    field = by_id(answer.text, "issued-token")
    assert field is not None
    token = field.attributes["value"]
    assert TOKEN.fullmatch(token)
    assert _use(app, token) == 200
    page = at_admin.page(PAGE)
    assert token not in page
    assert f"ls_…{token[-4:]}" in page
    assert token not in str(answer.headers)
    assert _audit(owner_engine) == [("api_token.created", "user", admin.id)]


def test_the_page_says_what_each_is_for_who_made_it_and_when_it_was_used(
    app: Flask, at_admin: Visitor
) -> None:
    token = TOKEN.findall(_create(at_admin).text)[0]
    assert "Shop" in at_admin.page(PAGE)
    [row] = find(at_admin.page(PAGE), "tr")[1:]
    said = words(row.text)
    assert "made by Admin of sonnenschein just now" in said
    assert "stats:read" in said
    assert "never" in said
    assert "In force until" in said

    _use(app, token)

    [row] = find(at_admin.page(PAGE), "tr")[1:]
    assert "never" not in words(row.text)


@pytest.mark.parametrize("password", ["", "wrong password", "x" * 5000])
def test_without_the_password_nothing_is_made_and_nothing_typed_is_lost(
    at_admin: Visitor, admin: Person, owner_engine: Engine, password: str
) -> None:
    answer = _create(at_admin, current=password)

    assert answer.status_code == 422
    assert not TOKEN.findall(answer.text)
    assert find(answer.text, "input", name="name", value="Shop")
    [chosen] = [
        each for each in find(answer.text, "input", name="scopes") if "checked" in each.attributes
    ]
    assert chosen.attributes["value"] == "stats:read"
    [lasting] = find(answer.text, "option", value="30")
    assert "selected" in lasting.attributes
    assert not password or password not in answer.text
    failed = [("reauthentication_failed", "user", admin.id)] if password else []
    assert _audit(owner_engine) == failed


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": " "}, "This is needed."),
        ({"name": "x" * 101}, "At most 100 characters."),
        ({"scopes": []}, "Choose at least one."),
        ({"scopes": ["stats:read", "all"]}, "Choose at least one."),
        ({"expiry": "9999999"}, "Choose one of these."),
        ({"expiry": ""}, "Choose one of these."),
    ],
)
def test_what_makes_no_sense_is_said_at_its_field(
    at_admin: Visitor, owner_engine: Engine, changes: dict[str, Any], sentence: str
) -> None:
    answer = _create(at_admin, **changes)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert _audit(owner_engine) == []


def test_passwords_cannot_be_tried_without_end(at_admin: Visitor) -> None:
    codes = {_create(at_admin, current="wrong").status_code for _ in range(10)}
    assert codes == {422}
    assert _create(at_admin, current="wrong").status_code == 429
    form = {"current": "wrong", "new": "x" * 12, "repeated": "x" * 12}
    assert at_admin.post("/profile/password", form).status_code == 429, "one count for all"


def test_a_token_expires_when_it_was_said_to(app: Flask, at_admin: Visitor) -> None:
    for expiry, days in (("30", 30), ("never", 4000)):
        with clock.restored():
            token = TOKEN.findall(_create(at_admin, expiry=expiry).text)[0]
            clock.advance(timedelta(days=days, seconds=1))
            assert _use(app, token) == (200 if expiry == "never" else 401)


def test_an_admin_revokes_after_a_question_without_javascript(
    app: Flask, at_admin: Visitor, admin: Person, owner_engine: Engine
) -> None:
    token = TOKEN.findall(_create(at_admin).text)[0]
    path = f"{PAGE}/1/revocations"
    assert find(at_admin.page(PAGE), "a", href=path)
    assert find(at_admin.page(path), "form", method="post", action=path)
    assert _use(app, token) == 200, "asking revokes nothing"

    answer = at_admin.post(path)

    assert (answer.status_code, answer.location) == (303, PAGE)
    assert _use(app, token) == 401
    page = at_admin.page(PAGE)
    assert "Revoked. The token opens nothing any more." in page
    assert not find(page, "a", href=path)
    at_admin.post(path)
    assert "The token was revoked already." in at_admin.page(PAGE)
    assert _audit(owner_engine) == [
        ("api_token.created", "user", admin.id),
        ("api_token.revoked", "user", admin.id),
    ]


def test_under_htmx_the_question_is_a_dialog(at_admin: Visitor) -> None:
    _create(at_admin)
    question = at_admin.get(f"{PAGE}/1/revocations", htmx=True).text
    assert "<html" not in question
    assert find(question, "form", id="confirmation")
    answer = at_admin.post(f"{PAGE}/1/revocations", htmx=True)
    assert answer.headers["HX-Redirect"] == PAGE


def test_tokens_are_for_admins(at_manager: Visitor, at_staff: Visitor, company: Tenant) -> None:
    for visitor in (at_manager, at_staff):
        assert visitor.get(PAGE).status_code == 403
        assert _create(visitor).status_code == 403
        assert visitor.post(f"{PAGE}/1/revocations").status_code == 403


def test_a_stranger_neither_sees_nor_ends_our_tokens(
    app: Flask, make: Callable[..., Token], at_stranger: Visitor, company: Tenant
) -> None:
    token = make(make_token, company, name="Ours")
    assert "Ours" not in at_stranger.page(PAGE)
    assert at_stranger.post(f"{PAGE}/{token.id}/revocations").status_code == 404
    assert _use(app, token.text) == 200


def test_the_operators_tokens_are_named_as_such(
    make: Callable[..., Token], at_admin: Visitor, company: Tenant
) -> None:
    make(make_token, company)
    assert "made by your operator" in words(at_admin.page(PAGE))


def test_the_page_speaks_german(app: Flask, make: Callable[..., Any], company: Tenant) -> None:
    visitor = Visitor(app)
    visitor.log_in(make(make_person, company, Role.ADMIN, locale="de"))
    assert "Noch keine Tokens" in visitor.page(PAGE)
    answer = _create(visitor)
    assert "Kopieren Sie es jetzt." in answer.text
    assert "angelegt von Admin of sonnenschein" in words(answer.text)
