"""The start: refused for a role that the walls wouldn't bind, borne where PostgreSQL is late."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event, text

from webapp import create_app
from webapp.embedded import Servers
from webapp.extensions import db, limiter
from webapp.settings import Settings

Start = Callable[[Settings], Flask]
NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def start(migrated_app: Flask) -> Iterator[Start]:
    """Starts further apps. There is one limiter for all: the others' tests get theirs back."""
    kept = dict(vars(limiter))
    yield create_app
    vars(limiter).clear()
    vars(limiter).update(kept)


def test_a_role_that_owns_the_tables_is_refused(
    start: Start, settings: Settings, servers: Servers
) -> None:
    privileged = settings.model_copy(update={"database_url": servers.database_owner_url})

    with pytest.raises(SystemExit, match="DATABASE_URL owns tables"):
        start(privileged)


def test_a_privileged_role_is_refused_also_where_postgresql_comes_up_later(
    start: Start, settings: Settings, servers: Servers
) -> None:
    """After a power cut both machines start at once: nobody may serve unasked then."""
    app = start(settings.model_copy(update={"database_url": NOWHERE}))
    there = {"now": servers.database_owner_url}
    with app.app_context():
        engine = db.engine

        @event.listens_for(engine, "do_connect")
        def connect(*_: object) -> psycopg.Connection:
            return psycopg.connect(there["now"].replace("+psycopg", ""))

        for _try in range(2):
            answer = app.test_client().get("/readyz")
            assert answer.status_code == 503
            assert answer.json is not None
            assert answer.json["checks"]["database"] == "unreachable: PrivilegedRole"
        there["now"] = settings.database_url
        assert app.test_client().get("/readyz").status_code == 200
        engine.dispose()


def test_without_a_database_the_process_lives_and_says_that_it_is_not_ready(
    start: Start, settings: Settings
) -> None:
    nowhere = settings.model_copy(update={"database_url": NOWHERE})
    client = start(nowhere).test_client()

    assert client.get("/healthz").json == {"status": "ok"}
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["checks"]["database"].startswith("unreachable")


@pytest.mark.skipif(
    sys.platform != "linux", reason="what a socket is set to is read as Linux has it"
)
def test_a_lost_machine_is_noticed_in_half_a_minute_from_both_sides(engine: Flask) -> None:
    """The lead hangs on a connection: PostgreSQL's own idea is to ask after two hours."""
    with db.engine.connect() as connection:
        shown = {
            name: connection.scalar(text(f"SHOW {name}"))
            for name in (
                "tcp_keepalives_idle",
                "tcp_keepalives_interval",
                "tcp_keepalives_count",
                "tcp_user_timeout",
            )
        }
        raw = connection.connection.driver_connection
        assert raw is not None
        with socket.socket(fileno=os.dup(raw.fileno())) as ours:
            idle = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            unanswered = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert list(shown.values()) == ["10", "5", "3", "30000"]
    assert (idle, unanswered) == (10, 15_000)


def test_a_redis_behind_a_socket_file_is_taken(
    start: Start, settings: Settings, tmp_path: Path
) -> None:
    """By who throttles, too: it calls the form of such an address by another name."""
    client = start(settings.model_copy(update={"redis_url": f"unix://{tmp_path}/no"})).test_client()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["checks"]["redis"].startswith("unreachable")


def test_a_ready_process_says_so_and_without_redis_stays_ready(
    start: Start, migrated_app: Flask, settings: Settings
) -> None:
    ready = migrated_app.test_client().get("/readyz").json
    assert ready is not None
    assert ready["status"] == "ok"
    assert (ready["checks"]["database"], ready["checks"]["redis"]) == ("ok", "ok")
    assert ready["checks"].keys() >= {"workers", "schedulers"}
    without = start(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))

    answer = without.test_client().get("/readyz")

    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["checks"]["redis"].startswith("unreachable")


def test_the_page_answers_quickly_and_people_log_in_while_redis_is_away(
    start: Start, settings: Settings
) -> None:
    without = start(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    without.config["WTF_CSRF_ENABLED"] = False
    client = without.test_client()

    for _ in range(3):
        answer = client.post("/login", data={"email": "a@b.test", "password": "wrong"})
        assert answer.status_code in (401, 422, 200)
