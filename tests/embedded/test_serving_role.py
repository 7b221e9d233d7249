"""Which roles must not serve. Only a superuser can make them up: it takes a server of its own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text

from webapp.embedded import running_postgres
from webapp.models.serving_role import objection_to_role

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def superuser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """In a database with a table of the owner's."""
    with running_postgres(tmp_path_factory.mktemp("pg"), durable=False) as server:
        address = server.admin_url.replace("postgresql:", "postgresql+psycopg:")
        engine = create_engine(address.replace("/postgres", "/lockstep"))
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE owned ()"))
            connection.execute(text("ALTER TABLE owned OWNER TO lockstep_owner"))
        yield engine
        engine.dispose()


@pytest.mark.parametrize(
    ("role", "objection"),
    [
        ("LOGIN", None),
        ("SUPERUSER", "is a superuser"),
        ("BYPASSRLS", "has BYPASSRLS"),
        ("IN ROLE lockstep_owner", "owns tables, or is a member of a role that does"),
        ("NOINHERIT IN ROLE lockstep_owner", "owns tables, or is a member of a role that does"),
        ("IN ROLE mighty", "is a member of a role that is a superuser or has BYPASSRLS"),
        ("NOINHERIT IN ROLE mighty", "is a member of a role that is a superuser or has BYPASSRLS"),
    ],
)
def test_no_role_serves_that_could_walk_through_the_walls(
    superuser: Engine, role: str, objection: str | None
) -> None:
    """Who inherits nothing from a role can still become it, with SET ROLE."""
    with superuser.connect() as connection:
        connection.execute(text("CREATE ROLE mighty BYPASSRLS"))
        connection.execute(text(f"CREATE ROLE somebody {role}"))
        connection.execute(text("SET LOCAL SESSION AUTHORIZATION somebody"))
        assert objection_to_role(connection) == objection
        connection.rollback()
