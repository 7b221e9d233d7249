"""Real servers for every test: PostgreSQL and Redis, embedded unless TEST_DATABASE_URL (with
TEST_DATABASE_OWNER_URL) and TEST_REDIS_URL name others; connected as the role that serves, really
committing. Sockets are off except loopback."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from pytest_socket import socket_allow_hosts
from redis import Redis
from sqlalchemy import Engine, create_engine, text

from tests.emptying import empty_tables
from tests.factories import Person, Tenant, make_company, make_person
from webapp import clock, create_app
from webapp.embedded import Servers, running_servers
from webapp.extensions import limiter
from webapp.models.user import Role
from webapp.sandbox.server import RunningSandbox, running_sandbox
from webapp.settings import Settings

KEY = "1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def pytest_runtest_setup() -> None:
    socket_allow_hosts(["127.0.0.1", "localhost", "::1"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lockstep-")))
        yield stack.enter_context(
            running_servers(
                folder,
                durable=False,
                database_url=os.environ.get("TEST_DATABASE_URL", ""),
                database_owner_url=os.environ.get("TEST_DATABASE_OWNER_URL", ""),
                redis_url=os.environ.get("TEST_REDIS_URL", ""),
            )
        )


@pytest.fixture(scope="session")
def settings(servers: Servers) -> Settings:
    """Short pauses, so that a test which waits for real waits briefly."""
    return Settings(
        database_url=servers.database_url,
        database_owner_url=servers.database_owner_url,
        redis_url=servers.redis_url,
        secret_key="a secret for tests only, long enough",
        encryption_keys=KEY,
        public_url="http://127.0.0.1:8000",
        session_cookie_secure=False,
        allow_private_networks=True,
        calcom_call_seconds=2.0,
        absence_grace_seconds=60,
        absence_gap_seconds=60,
        log_level="WARNING",
        log_format="console",
    )


@pytest.fixture(scope="session")
def migrated_app(settings: Settings) -> Flask:
    app = create_app(settings)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False, EVEN_TIME_SECONDS=0)
    with app.app_context():
        upgrade()
    return app


@pytest.fixture(scope="session")
def owner_engine(servers: Servers, migrated_app: Flask) -> Iterator[Engine]:
    """A connection as the owner of the tables, who sees every company: to arrange and to look."""
    engine = create_engine(servers.database_owner_url)
    yield engine
    engine.dispose()


@pytest.fixture
def waiting_transactions(settings: Settings) -> Iterator[Callable[[], int]]:
    """How many transactions of ours are open and do nothing: while something else is waited for,
    none may. Asked as the role that serves: another one's are hidden."""
    engine = create_engine(settings.database_url)

    def count() -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        with engine.connect() as connection:
            return int(connection.scalar(text(query)) or 0)

    yield count
    engine.dispose()


@pytest.fixture
def redis(servers: Servers) -> Iterator[Redis]:
    connection = Redis.from_url(servers.redis_url)
    connection.flushall()
    yield connection
    connection.close()


@pytest.fixture
def app(migrated_app: Flask, owner_engine: Engine, redis: Redis) -> Iterator[Flask]:
    """The application over empty tables, with the clock put right again at the end."""
    with owner_engine.begin() as connection:
        empty_tables(connection)
    with migrated_app.app_context():
        limiter.reset()
    with clock.restored():
        yield migrated_app


@pytest.fixture
def engine(app: Flask) -> Iterator[Flask]:
    """Inside the application's context, as a job is."""
    with app.app_context():
        yield app


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """A Cal.com of our own over HTTP."""
    with running_sandbox() as running:
        yield running


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def company(app: Flask) -> Tenant:
    """The company that most tests are about; without a Cal.com connection."""
    with app.app_context():
        return make_company("sonnenschein")


@pytest.fixture
def other_company(app: Flask) -> Tenant:
    with app.app_context():
        return make_company("blau")


@pytest.fixture
def admin(app: Flask, company: Tenant) -> Person:
    with app.app_context():
        return make_person(company, Role.ADMIN)


@pytest.fixture
def manager(app: Flask, company: Tenant) -> Person:
    with app.app_context():
        return make_person(company, Role.MANAGER)


@pytest.fixture
def staff(app: Flask, company: Tenant) -> Person:
    """The colleague with fewer rights."""
    with app.app_context():
        return make_person(company, Role.STAFF)


@pytest.fixture
def stranger(app: Flask, other_company: Tenant) -> Person:
    """An admin, but of another company."""
    with app.app_context():
        return make_person(other_company, Role.ADMIN)
