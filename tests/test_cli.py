"""The operator's command line, from an empty database to a verified company."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from redis import Redis
from sqlalchemy import select

from tests.desk import Cal
from tests.factories import Person
from webapp.extensions import db
from webapp.jobs.queues import PEOPLE, queue
from webapp.models.audit import Actor, AuditEntry
from webapp.models.company import Company, Secret
from webapp.models.crossing import company_of_slug, find_login
from webapp.models.tenancy import as_company
from webapp.models.user import Role, User
from webapp.sandbox.server import RunningSandbox


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


def create(runner: FlaskCliRunner, slug: str = "praxis") -> str:
    done = runner.invoke(args=["company", "create", slug, "--name", "Praxis am Tor"])
    assert done.exit_code == 0, done.output
    return done.output


def connect(runner: FlaskCliRunner, sandbox: RunningSandbox, key: str = "cal_praxis") -> None:
    cal = Cal(sandbox.url, "praxis@cal.test")
    account = cal.put("accounts", {"email": "praxis@cal.test", "key": "cal_praxis"})
    cal.put(
        "event-types", {"account": account["id"], "id": 77, "title": "X", "lengthInMinutes": 45}
    )
    done = runner.invoke(
        args=["company", "connect", "praxis", "--base-url", sandbox.api_url],
        input=f"{key}\nwebhook-secret\n",
    )
    assert done.exit_code == 0, done.output


def company_row(app: Flask, slug: str = "praxis") -> Company:
    with app.app_context():
        company_id = company_of_slug(db.session(), slug)
        db.session.rollback()
        assert company_id is not None
        with as_company(company_id):
            row = db.session.get_one(Company, company_id)
            db.session.expunge(row)
            return row


def test_a_company_is_made_with_a_random_webhook_address(
    app: Flask, runner: FlaskCliRunner
) -> None:
    said = create(runner)

    token = company_row(app).webhook_token
    assert len(token) >= 24
    assert f"http://127.0.0.1:8000/webhooks/calcom/{token}" in said
    shown = runner.invoke(args=["company", "webhook", "praxis"]).output
    assert shown.strip().endswith(token)


def test_a_connection_is_set_from_standard_input_and_tried(
    app: Flask, runner: FlaskCliRunner, sandbox: RunningSandbox
) -> None:
    create(runner)

    connect(runner, sandbox)

    row = company_row(app)
    assert row.connection_state.value == "ok"
    vault = app.extensions["vault"]
    assert row.secret(Secret.API_KEY, vault) == "cal_praxis"
    assert row.secret(Secret.WEBHOOK_SECRET, vault) == "webhook-secret"
    assert "cal_praxis" not in (row.calcom_api_key or "")


def test_a_wrong_key_is_kept_but_said_to_be_refused(
    app: Flask, runner: FlaskCliRunner, sandbox: RunningSandbox
) -> None:
    create(runner)

    done = runner.invoke(
        args=["company", "connect", "praxis", "--base-url", sandbox.api_url],
        input="cal_wrong\nsecret\n",
    )

    assert done.exit_code == 1
    assert "saved, but Cal.com says" in done.output
    assert "cal_wrong" not in done.output
    assert company_row(app).connection_state.value == "broken"


def test_a_service_is_offered_for_an_event_type_of_the_account_only(
    runner: FlaskCliRunner, sandbox: RunningSandbox
) -> None:
    create(runner)
    connect(runner, sandbox)

    made = runner.invoke(args=["service", "create", "praxis", "Erstgespräch", "--event-type", "77"])
    foreign = runner.invoke(args=["service", "create", "praxis", "Other", "--event-type", "78"])

    assert "45 minutes" in made.output
    assert foreign.exit_code == 1
    assert "event type 78" in foreign.output


def test_a_person_is_made_and_given_a_new_password(app: Flask, runner: FlaskCliRunner) -> None:
    create(runner)
    made = runner.invoke(
        args=["user", "create", "praxis", "Ada@Praxis.test", "--name", "Ada", "--role", "manager"],
        input="a long enough password\n",
    )
    assert made.exit_code == 0, made.output

    changed = runner.invoke(
        args=["user", "password", "ada@praxis.test"], input="another long password\n"
    )

    assert changed.exit_code == 0, changed.output
    with app.app_context():
        login = find_login(db.session(), "ADA@praxis.test")
        db.session.rollback()
        assert login is not None
        with as_company(login.company_id):
            row = db.session.get_one(User, (login.company_id, login.user_id))
            assert row.role is Role.MANAGER
            assert row.has_password("another long password")
            assert row.session_version == 2
            audited = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
            assert [(each.action, each.actor) for each in audited][1:] == [
                ("user.created", Actor.OPERATOR),
                ("password_set", Actor.OPERATOR),
            ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["user", "create", "sonnenschein", "a@b.test", "--name", "A"],
        ["user", "password", "ADMIN"],
        ["company", "connect", "sonnenschein", "--base-url", "http://127.0.0.1:9/v2"],
        ["company", "connect-phone", "sonnenschein"],
    ],
)
def test_no_transaction_waits_for_somebody_who_types(
    admin: Person,
    runner: FlaskCliRunner,
    monkeypatch: pytest.MonkeyPatch,
    waiting_transactions: Callable[[], int],
    arguments: list[str],
) -> None:
    """The database ends one that idles, and the command would end in a trace."""
    open_meanwhile = []

    def ask(_what: str) -> str:
        open_meanwhile.append(waiting_transactions())
        return "a long enough answer"

    for module in ("people", "companies"):
        monkeypatch.setattr(f"webapp.cli.{module}.ask", ask)
    runner.invoke(args=[admin.email if each == "ADMIN" else each for each in arguments])
    assert open_meanwhile
    assert set(open_meanwhile) == {0}


def test_a_short_password_is_not_set(
    admin: Person, runner: FlaskCliRunner, client: FlaskClient
) -> None:
    done = runner.invoke(args=["user", "password", admin.email], input="short\n")
    assert (done.exit_code, "at least 10 characters" in done.output) == (1, True)
    form = {"email": admin.email, "password": admin.password}
    assert client.post("/login", data=form).status_code == 303


@pytest.mark.parametrize(
    ("arguments", "typed", "sentence"),
    [
        (["company", "create", "praxis", "--name", "X"], "", "exists already"),
        (["company", "create", "Bad Slug", "--name", "X"], "", "lower-case letters"),
        (["company", "create", "x", "--name", "X", "--time-zone", "Mars"], "", "time zone"),
        (["company", "webhook", "nobody"], "", "no company 'nobody'"),
        (["user", "create", "praxis", "a@b.test", "--name", "A"], "short\n", "at least"),
        (["user", "password", "nobody@b.test"], "", "nobody logs in"),
        (
            ["company", "connect", "praxis", "--base-url", "ftp://x"],
            "cal_x\ns\n",
            "",
        ),
        (
            ["company", "connect", "praxis", "--base-url", "http://127.0.0.1:9/v2"],
            "\n\n",
            "key is empty",
        ),
    ],
)
def test_what_was_typed_wrongly_gets_a_sentence_and_changes_nothing(
    runner: FlaskCliRunner, arguments: list[str], typed: str, sentence: str
) -> None:
    create(runner)

    done = runner.invoke(args=arguments, input=typed)

    assert done.exit_code == 1
    assert sentence in done.output
    assert "Traceback" not in done.output


def test_a_company_is_verified_in_this_process(
    runner: FlaskCliRunner, sandbox: RunningSandbox
) -> None:
    create(runner)
    connect(runner, sandbox)

    done = runner.invoke(args=["company", "verify", "praxis"])

    assert done.output.startswith("done: 0 compared")


def test_the_pulse_hands_over_what_is_due(
    app: Flask, runner: FlaskCliRunner, sandbox: RunningSandbox, redis: Redis
) -> None:
    from tests.desk import Desk

    with app.app_context():
        Desk(sandbox).book()

    done = runner.invoke(args=["pulse"])

    assert done.output == "1 handed over\n", repr(done.exception)
    assert len(queue(PEOPLE, redis)) == 1
