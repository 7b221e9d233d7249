"""The operator pauses and resumes what is sent to Cal.com: one company, or all."""

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import Engine, text

from tests.desk import Desk
from tests.factories import Tenant
from webapp.sandbox.server import RunningSandbox


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


def say(runner: FlaskCliRunner, *arguments: str) -> str:
    done = runner.invoke(args=list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def pauses(owner_engine: Engine) -> dict[str, str | None]:
    with owner_engine.connect() as connection:
        rows = connection.execute(text("SELECT slug, paused_by FROM companies"))
        return {row.slug: row.paused_by for row in rows}


def audit(owner_engine: Engine) -> list[tuple[str, str, str]]:
    with owner_engine.connect() as connection:
        rows = connection.execute(
            text("SELECT subject, action, actor FROM audit_entries ORDER BY id")
        )
        return [tuple(row) for row in rows]


def pause_as_paula(owner_engine: Engine, tenant: Tenant) -> None:
    with owner_engine.begin() as connection:
        connection.execute(
            text("UPDATE companies SET paused_at = now(), paused_by = 'Paula' WHERE id = :id"),
            {"id": tenant.id},
        )


def test_one_company_is_paused_and_resumed_as_the_operator(
    runner: FlaskCliRunner, company: Tenant, other_company: Tenant, owner_engine: Engine
) -> None:
    assert say(runner, "pause", "sonnenschein") == "sonnenschein: paused; 0 changes waiting\n"
    assert pauses(owner_engine) == {"sonnenschein": "operator", "blau": None}

    assert say(runner, "resume", "sonnenschein") == "sonnenschein: resumed\n"

    assert pauses(owner_engine) == {"sonnenschein": None, "blau": None}
    subject = f"company:{company.id}"
    assert audit(owner_engine) == [
        (subject, "company.paused", "operator"),
        (subject, "company.resumed", "operator"),
    ]


def test_what_waits_is_said_and_reaches_calcom_after_resuming(
    app: Flask, runner: FlaskCliRunner, sandbox: RunningSandbox
) -> None:
    with app.app_context():
        desk = Desk(sandbox)
        desk.book()
    assert say(runner, "pause", "sonnenschein") == "sonnenschein: paused; 1 change waiting\n"
    with app.app_context():
        desk.work()
    assert desk.cal.bookings() == []

    said = say(runner, "resume", "sonnenschein")

    assert said == "sonnenschein: resumed; 1 change that waited goes on\n"
    with app.app_context():
        desk.work()
    assert len(desk.cal.live_bookings()) == 1


def test_all_companies_are_paused_and_resumed(
    runner: FlaskCliRunner, company: Tenant, other_company: Tenant, owner_engine: Engine
) -> None:
    said = say(runner, "pause", "--all")
    assert "sonnenschein: paused" in said
    assert "blau: paused" in said
    assert set(pauses(owner_engine).values()) == {"operator"}

    say(runner, "resume", "--all")

    assert set(pauses(owner_engine).values()) == {None}


def test_resuming_all_leaves_what_a_companys_admin_paused(
    runner: FlaskCliRunner, company: Tenant, other_company: Tenant, owner_engine: Engine
) -> None:
    pause_as_paula(owner_engine, company)
    assert "sonnenschein: paused, over the pause of Paula" in say(runner, "pause", "--all")
    assert "was paused already, by operator" in say(runner, "pause", "--all")
    assert set(pauses(owner_engine).values()) == {"operator"}

    said = say(runner, "resume", "--all")

    assert "sonnenschein: left paused, by Paula" in said
    assert pauses(owner_engine) == {"sonnenschein": "Paula", "blau": None}
    say(runner, "resume", "sonnenschein")
    assert pauses(owner_engine) == {"sonnenschein": None, "blau": None}


def test_doing_it_twice_changes_nothing_more(
    runner: FlaskCliRunner, company: Tenant, owner_engine: Engine
) -> None:
    say(runner, "pause", "sonnenschein")
    assert "was paused already, by operator" in say(runner, "pause", "sonnenschein")
    say(runner, "resume", "sonnenschein")
    assert say(runner, "resume", "sonnenschein") == "sonnenschein: was not paused\n"
    assert [action for _, action, _ in audit(owner_engine)] == ["company.paused", "company.resumed"]


@pytest.mark.parametrize("command", ["pause", "resume"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nobody"], "no company 'nobody'"),
        ([], "say which company"),
        (["sonnenschein", "--all"], "say which company"),
    ],
)
def test_what_was_typed_wrongly_gets_a_sentence_and_changes_nothing(
    runner: FlaskCliRunner,
    company: Tenant,
    owner_engine: Engine,
    command: str,
    arguments: list[str],
    sentence: str,
) -> None:
    done = runner.invoke(args=[command, *arguments])

    assert done.exit_code != 0
    assert sentence in done.output
    assert pauses(owner_engine) == {"sonnenschein": None}
    assert audit(owner_engine) == []
