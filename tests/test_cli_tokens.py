"""The operator makes, lists and revokes API tokens."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import Engine, text

from tests.factories import Tenant
from webapp import clock


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


def say(runner: FlaskCliRunner, *arguments: str) -> str:
    done = runner.invoke(args=list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def ask(app: Flask, token: str, path: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client().get(f"/api/v1{path}", headers=headers).status_code


def test_create_prints_the_token_and_nothing_else(
    app: Flask, runner: FlaskCliRunner, company: Tenant
) -> None:
    said = say(runner, "token", "create", "sonnenschein", "--scope", "appointments:write")

    assert re.fullmatch(r"ls_[\w-]{43}\n", said)
    assert ask(app, said.strip(), "/appointments") == 200
    assert ask(app, said.strip(), "/stats") == 403


def test_a_token_may_have_several_scopes_a_name_and_an_end(
    app: Flask, runner: FlaskCliRunner, company: Tenant
) -> None:
    scopes = ("--scope", "appointments:read", "--scope", "stats:read")
    token = say(
        runner, "token", "create", "sonnenschein", *scopes, "--name", "Shop", "--days", "7"
    ).strip()
    assert ask(app, token, "/stats") == ask(app, token, "/services") == 200
    assert "appointments:read stats:read  Shop  (used " in say(
        runner, "token", "list", "sonnenschein"
    )

    clock.advance(timedelta(days=7, seconds=1))

    assert ask(app, token, "/stats") == 401
    assert "(expired)" in say(runner, "token", "list", "sonnenschein")


def test_a_listed_token_can_be_revoked(
    app: Flask, runner: FlaskCliRunner, company: Tenant, owner_engine: Engine
) -> None:
    token = say(runner, "token", "create", "sonnenschein", "--scope", "stats:read").strip()
    listed = say(runner, "token", "list", "sonnenschein")
    assert token not in listed
    assert f"ls_…{token[-4:]}" in listed
    assert "(never used)" in listed

    said = say(runner, "token", "revoke", "sonnenschein", listed.split()[0])

    assert said == "sonnenschein: token 1 revoked\n"
    assert ask(app, token, "/stats") == 401
    assert "(revoked)" in say(runner, "token", "list", "sonnenschein")
    with owner_engine.connect() as connection:
        rows = connection.execute(text("SELECT action, actor FROM audit_entries ORDER BY id"))
        assert [tuple(row) for row in rows] == [
            ("api_token.created", "operator"),
            ("api_token.revoked", "operator"),
        ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "nobody", "--scope", "stats:read"], "no company 'nobody'"),
        (["create", "sonnenschein"], "Missing option '--scope'"),
        (["create", "sonnenschein", "--scope", "all"], "'all' is not one of"),
        (
            ["create", "sonnenschein", "--scope", "stats:read", "--days", "0"],
            "0 is not in the range",
        ),
        (["revoke", "sonnenschein", "1"], "has no token 1 in force"),
        (["revoke", "sonnenschein", "x"], "'x' is not a valid integer"),
        (["list", "nobody"], "no company 'nobody'"),
    ],
)
def test_what_was_typed_wrongly_gets_a_sentence(
    runner: FlaskCliRunner,
    company: Tenant,
    owner_engine: Engine,
    arguments: list[str],
    sentence: str,
) -> None:
    done = runner.invoke(args=["token", *arguments])

    assert done.exit_code != 0
    assert sentence in done.output
    with owner_engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM api_tokens")).scalar_one() == 0


def test_another_companys_token_is_not_revoked_by_its_id(
    app: Flask, runner: FlaskCliRunner, company: Tenant, other_company: Tenant
) -> None:
    token = say(runner, "token", "create", "sonnenschein", "--scope", "stats:read").strip()
    assert runner.invoke(args=["token", "revoke", "blau", "1"]).exit_code != 0
    assert ask(app, token, "/stats") == 200
