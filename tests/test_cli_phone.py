"""The operator connects a company's telephone from standard input and gets its address."""

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from tests.test_cli import company_row, create, runner
from webapp.models.company import Secret

__all__ = ["runner"]


def connect(runner: FlaskCliRunner, key: str, *options: str) -> str:
    done = runner.invoke(args=["company", "connect-phone", "praxis", *options], input=f"{key}\n")
    assert done.exit_code == 0, done.output
    return done.output


def test_the_key_is_sealed_and_the_address_printed(app: Flask, runner: FlaskCliRunner) -> None:
    create(runner)

    said = connect(runner, "key_praxis")

    row = company_row(app)
    assert row.phone_token != row.webhook_token
    assert len(row.phone_token) >= 24
    assert said == f"http://127.0.0.1:8000/webhooks/retell/{row.phone_token}\n"
    assert row.secret(Secret.RETELL_KEY, app.extensions["vault"]) == "key_praxis"
    assert "key_praxis" not in (row.retell_api_key or "")
    assert runner.invoke(args=["company", "phone", "praxis"]).output == said


@pytest.mark.parametrize(
    ("options", "takes"), [([], True), (["--only-checked"], False), (["--unchecked"], True)]
)
def test_whether_it_takes_appointments_unchecked_is_said_at_connecting(
    app: Flask, runner: FlaskCliRunner, options: list[str], takes: bool
) -> None:
    create(runner)
    connect(runner, "key_praxis", *options)
    assert company_row(app).takes_calls_unchecked is takes
    connect(runner, "key_other")
    assert company_row(app).takes_calls_unchecked is takes


def test_a_telephone_without_a_key_is_said_to_have_none(runner: FlaskCliRunner) -> None:
    create(runner)
    assert "no key yet" in runner.invoke(args=["company", "phone", "praxis"]).output
    done = runner.invoke(args=["company", "connect-phone", "praxis"], input="\n")
    assert done.exit_code == 1
    assert "key is empty" in done.output
