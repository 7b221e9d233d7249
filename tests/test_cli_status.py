"""The operator sees at a glance whether a company's changes reach Cal.com."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from tests.desk import Desk, in_days
from webapp.jobs import connection
from webapp.jobs.queues import connect_for_web
from webapp.sandbox.server import RunningSandbox


@pytest.fixture
def desk(engine: Flask, sandbox: RunningSandbox) -> Desk:
    return Desk(sandbox)


def say(app: Flask, *arguments: str) -> str:
    runner: FlaskCliRunner = app.test_cli_runner()
    done = runner.invoke(args=["company", "status", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_all_is_well(desk: Desk, engine: Flask) -> None:
    desk.book(in_days(2))
    desk.work()

    assert say(engine) == (
        "sonnenschein\tconnection ok\tbreaker closed, 0 failures in a row"
        "\t1 of 4980 calls a minute\t0 changes under way\n"
    )


def test_what_holds_changes_back_is_named(desk: Desk, engine: Flask) -> None:
    desk.cal.fail({"kind": "status", "status": 503})
    for hour in range(8, 14):
        desk.book(in_days(2, hour))
    desk.work()
    desk.pause()

    said = say(engine, "sonnenschein")

    assert "paused by An admin since " in said
    assert re.search(r"breaker open until \d\d:\d\d:\d\dZ, 5 failures in a row", said)
    assert "6 changes under way" in said


def test_without_redis_it_says_so(
    desk: Desk, engine: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = connect_for_web("redis://127.0.0.1:1/0")
    monkeypatch.setattr(connection, "connect_for_web", lambda _: gone)

    assert "breaker and budget unknown: Redis is away" in say(engine)
