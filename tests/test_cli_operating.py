"""The operator looks at queues, checks, breakers and figures, and does something about them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from redis import Redis
from sqlalchemy import Engine, text

from tests.desk import Desk, in_days
from tests.factories import Person, Tenant, make_appointment, make_customer
from webapp import clock
from webapp.extensions import db
from webapp.jobs import queues, schedule
from webapp.jobs.queues import PEOPLE, hand_over, queue
from webapp.models.discrepancy import Discrepancy
from webapp.models.tenancy import as_company
from webapp.sandbox.server import RunningSandbox


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def desk(engine: Flask, sandbox: RunningSandbox) -> Desk:
    return Desk(sandbox)


def say(runner: FlaskCliRunner, *arguments: str, exit_code: int = 0) -> str:
    done = runner.invoke(args=list(arguments))
    assert done.exit_code == exit_code, done.output
    assert "Traceback" not in done.output
    return done.output


def rows(runner: FlaskCliRunner, *arguments: str) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = json.loads(say(runner, *arguments, "--json"))
    return said


def work(redis: Redis) -> None:
    """One worker until the queues are empty, in this process."""
    from rq import SimpleWorker
    from rq.serializers import JSONSerializer

    SimpleWorker(
        [queue(name, redis) for name in queues.NAMES],
        connection=redis,
        job_class=queues.JsonJob,
        serializer=JSONSerializer,
    ).work(burst=True, logging_level="ERROR")


def test_queues_are_listed_with_what_waits_and_since_when(
    desk: Desk, runner: FlaskCliRunner, redis: Redis
) -> None:
    assert hand_over("push", desk.company.id, 1)
    assert hand_over("push", desk.company.id, 2)

    found = {row["name"]: row for row in rows(runner, "queues", "list")}

    assert list(found) == list(queues.NAMES)
    assert found[PEOPLE]["waiting"] == 2
    assert found[PEOPLE]["oldest_at"].endswith("+00:00")
    assert found["bulk"]["waiting"] == found[PEOPLE]["failed"] == 0
    assert "people" in say(runner, "queues", "list")


def test_a_cleared_queue_comes_again_with_the_pulse(
    desk: Desk, runner: FlaskCliRunner, redis: Redis
) -> None:
    desk.book()
    say(runner, "pulse")
    assert len(queue(PEOPLE, redis)) == 1

    asked = runner.invoke(args=["queues", "clear", PEOPLE], input="n\n")
    assert asked.exit_code == 1
    assert len(queue(PEOPLE, redis)) == 1
    assert say(runner, "queues", "clear", PEOPLE, "--yes").startswith("1 taken out")
    assert len(queue(PEOPLE, redis)) == 0

    say(runner, "pulse")
    assert len(queue(PEOPLE, redis)) == 1


def test_what_failed_is_named_without_what_it_said_and_queued_again(
    desk: Desk, runner: FlaskCliRunner, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.book()
    say(runner, "pulse")
    from webapp.jobs import push

    def break_down(_company_id: int, _intent_id: int) -> None:
        raise LookupError("Frau Quendelmaier")

    with monkeypatch.context() as patch:
        patch.setattr(push, "push", break_down)
        work(redis)

    [failed] = rows(runner, "queues", "failed")
    assert failed["error"] == "LookupError"
    assert failed["function"] == "webapp.jobs.push.push"
    assert failed["row"].startswith(f"{desk.company.id} ")
    assert "Quendelmaier" not in say(runner, "queues", "failed", PEOPLE)
    assert say(runner, "queues", "failed", "bulk") == "nothing failed\n"

    assert say(runner, "queues", "retry-failed") == "1 queued again\n"
    work(redis)

    assert rows(runner, "queues", "failed") == []
    assert len(desk.cal.live_bookings()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["queues", "list"],
        ["queues", "failed"],
        ["queues", "retry-failed"],
        ["queues", "clear", "bulk", "--yes"],
        ["breaker", "show"],
        ["breaker", "reset", "sonnenschein"],
    ],
)
def test_without_redis_a_sentence_is_said(
    company: Tenant,
    runner: FlaskCliRunner,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    gone = queues.connect_for_web("redis://127.0.0.1:1/0")
    monkeypatch.setattr("webapp.cli.asking.connect_for_web", lambda _: gone)

    assert "Redis can't be reached" in say(runner, *arguments, exit_code=1)


def test_the_schedule_says_what_is_due_and_what_the_clock_knows(
    desk: Desk, runner: FlaskCliRunner, redis: Redis
) -> None:
    desk.book()
    before = {row["task"]: row for row in rows(runner, "schedule", "list", "sonnenschein")}
    assert set(before) == set(schedule.TASKS)
    assert before["delta"]["is_begun"] is False
    assert before["delta"]["next_tick"] is None, "nobody has asserted the clock's list"

    schedule.assert_list(redis)
    schedule.tick("delta")

    after = {row["task"]: row for row in rows(runner, "schedule", "list")}
    assert after["delta"]["is_begun"] is True
    assert after["delta"]["last_slot"] == after["delta"]["slot"]
    assert after["delta"]["next_tick"] is not None


def test_a_check_is_begun_now_for_one_company(
    desk: Desk, runner: FlaskCliRunner, redis: Redis, owner_engine: Engine
) -> None:
    desk.book()
    desk.work()

    assert (
        say(runner, "schedule", "run", "sweep", "sonnenschein") == "sweep begun for sonnenschein\n"
    )
    said = say(runner, "schedule", "run", "sweep", "sonnenschein", exit_code=1)
    assert "is going on already" in said

    work(redis)
    with owner_engine.connect() as connection:
        runs = connection.execute(text("SELECT scope, status, compared_count FROM runs")).all()
    assert [tuple(run) for run in runs] == [("full", "done", 1)]
    begun = {row["task"]: row["is_begun"] for row in rows(runner, "schedule", "list")}
    assert begun["sweep"] is True


def test_an_open_breaker_is_shown_and_reset(
    desk: Desk, runner: FlaskCliRunner, owner_engine: Engine
) -> None:
    desk.cal.fail({"kind": "status", "status": 503})
    for hour in range(8, 14):
        desk.book(in_days(2, hour))
    desk.work()
    [shown] = rows(runner, "breaker", "show")
    assert (shown["company"], shown["circuit"], shown["failures"]) == ("sonnenschein", "open", 5)
    desk.cal.heal()

    assert say(runner, "breaker", "reset", "sonnenschein") == (
        "sonnenschein: closed; what waited goes on\n"
    )

    desk.work()
    assert len(desk.cal.live_bookings()) == 6
    [shown] = rows(runner, "breaker", "show", "sonnenschein")
    assert shown["circuit"] == "closed"
    assert "was closed" in say(runner, "breaker", "reset", "sonnenschein")
    with owner_engine.connect() as connection:
        audited = connection.execute(text("SELECT action, actor FROM audit_entries")).all()
    assert [tuple(row) for row in audited] == [("breaker.reset", "operator")]


def test_figures_are_each_companys_own(
    desk: Desk, runner: FlaskCliRunner, other_company: Tenant
) -> None:
    desk.book()
    desk.work()
    desk.book(in_days(3))

    found = {row["company"]: row for row in rows(runner, "stats")}

    assert found["sonnenschein"]["synced"] == found["sonnenschein"]["pending"] == 1
    assert found["sonnenschein"]["changes_under_way"] == 1
    assert found["blau"]["synced"] == found["blau"]["pending"] == 0
    assert "sonnenschein" in say(runner, "stats", "sonnenschein")


def test_one_appointment_is_verified_in_this_process(desk: Desk, runner: FlaskCliRunner) -> None:
    appointment_id = desk.book()
    desk.work()
    said = say(runner, "appointment", "verify", "sonnenschein", str(appointment_id))
    assert "synced" in said

    [booking] = desk.cal.live_bookings()
    desk.cal.vanish(booking["uid"])
    clock.advance(timedelta(minutes=10))
    done = runner.invoke(
        args=["appointment", "verify", "sonnenschein", str(appointment_id), "--json"]
    )

    assert done.exit_code == 1
    assert json.loads(done.output)["code"] == "ORPHANED_LOCAL"
    with as_company(desk.company.id):
        assert db.session.query(Discrepancy).count() == 1


def test_another_companys_appointment_is_nobodys(
    company: Tenant, other_company: Tenant, app: Flask, runner: FlaskCliRunner
) -> None:
    with app.app_context():
        appointment_id = make_appointment(company)

    said = say(runner, "appointment", "verify", "blau", str(appointment_id), exit_code=1)

    assert f"blau has no appointment {appointment_id}" in said


def test_a_test_message_without_a_mail_server_says_so(
    runner: FlaskCliRunner, admin: Person
) -> None:
    said = say(runner, "message", "test", "sonnenschein", "--mail", admin.email, exit_code=1)
    assert said == "unsendable: NO_MAIL_SERVER\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "say to whom"),
        (["--mail", "a@b.test", "--chat", "x"], "say to whom"),
        (["--mail", "nobody@b.test"], "nobody with the e-mail"),
        (["--chat", "Nowhere"], "no chat channel 'Nowhere'"),
    ],
)
def test_a_test_message_to_nobody_is_refused(
    company: Tenant, runner: FlaskCliRunner, arguments: list[str], sentence: str
) -> None:
    done = runner.invoke(args=["message", "test", "sonnenschein", *arguments])

    assert done.exit_code != 0
    assert sentence in done.output


def test_a_customer_is_exported_and_erased_after_a_question(
    company: Tenant, app: Flask, runner: FlaskCliRunner, owner_engine: Engine
) -> None:
    with app.app_context():
        customer_id = make_customer(company, "known@example.org", name="Bekannt")
    exported = json.loads(say(runner, "customer", "export", "sonnenschein", str(customer_id)))
    assert exported["customer"]["name"] == "Bekannt"

    asked = runner.invoke(args=["customer", "erase", "sonnenschein", str(customer_id)], input="n\n")
    assert asked.exit_code == 1
    said = say(runner, "customer", "erase", "sonnenschein", str(customer_id), "--yes")
    assert f"customer {customer_id} of sonnenschein erased" in said

    with owner_engine.connect() as connection:
        names = set(connection.scalars(text("SELECT name FROM customers")))
        actions = list(connection.scalars(text("SELECT action FROM audit_entries ORDER BY id")))
    assert "Bekannt" not in names
    assert actions == ["customer.exported", "customer.erased"]


def test_a_customer_who_is_still_expected_is_not_erased(
    company: Tenant, app: Flask, runner: FlaskCliRunner
) -> None:
    with app.app_context():
        make_appointment(company)
    arguments = ["customer", "erase", "sonnenschein", str(company.customer_id), "--yes"]

    assert "1 still to come: cancel first" in say(runner, *arguments, exit_code=1)
    nobody = say(runner, "customer", "erase", "sonnenschein", "999", "--yes", exit_code=1)
    assert "sonnenschein has no customer 999" in nobody
