"""The two roles and the database: one owns and migrates, the other serves and owns nothing."""

from collections.abc import Mapping

import psycopg
from psycopg import sql

ADMIN, OWNER, APP = "lockstep_admin", "lockstep_owner", "lockstep_app"
DATABASE = "lockstep"

_ATTRIBUTES = "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"


def prepare(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Make roles and database where missing, and set right what may differ."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for role in (OWNER, APP):
            _prepare_role(connection, role, passwords[role])
        _prepare_database(connection)
    with psycopg.connect(admin_url, dbname=DATABASE, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(OWNER)))


def _prepare_role(connection: psycopg.Connection, role: str, password: str) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    statement = f"{'ALTER' if known else 'CREATE'} ROLE {{}} {_ATTRIBUTES} PASSWORD {{}}"
    connection.execute(sql.SQL(statement).format(sql.Identifier(role), sql.Literal(password)))


def _prepare_database(connection: psycopg.Connection) -> None:
    known = connection.execute(
        "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
    ).fetchone()
    statement = "ALTER DATABASE {} OWNER TO {}" if known else "CREATE DATABASE {} OWNER {}"
    connection.execute(sql.SQL(statement).format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))
