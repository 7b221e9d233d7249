"""The role that serves must be one that row-level security binds (S12.1).

Asked on each new connection until it was answered well once: PostgreSQL may come up after us. A
connection of a role that must not serve is given to nobody, as if there were no database.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import Connection, Engine, event, text

# Whoever is a member of a role can become it (SET ROLE), though it inherits nothing.
_QUESTIONS = """
    SELECT me.rolsuper AS is_superuser, me.rolbypassrls AS bypasses,
           EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
                      AND pg_has_role(me.oid, c.relowner, 'MEMBER')) AS is_owner,
           EXISTS (SELECT 1 FROM pg_roles other
                    WHERE (other.rolsuper OR other.rolbypassrls)
                      AND pg_has_role(me.oid, other.oid, 'MEMBER')) AS may_bypass
      FROM pg_roles me WHERE me.rolname = session_user
    """


class PrivilegedRole(psycopg.OperationalError):
    """The role that connected could walk through the walls; the text says how."""


def objection_to_role(connection: Connection) -> str | None:
    """Why this connection's role must not serve; None where it may."""
    return _objection(connection.execute(text(_QUESTIONS)).mappings().one())


def refuse_privileged_role(engine: Engine) -> None:
    """Let this engine give out no connection of a role that must not serve: it raises
    OperationalError, of PrivilegedRole."""
    is_answered = False

    @event.listens_for(engine, "connect")
    def ask(connection: psycopg.Connection[Any], _record: object) -> None:
        nonlocal is_answered
        if is_answered:
            return
        with connection.cursor(row_factory=dict_row) as cursor:
            answer = cursor.execute(_QUESTIONS).fetchone() or {}
        connection.rollback()
        if objection := _objection(answer):
            connection.close()
            raise PrivilegedRole(f"the role in DATABASE_URL {objection}")
        is_answered = True


def _objection(role: Mapping[Any, Any]) -> str | None:
    if role["is_superuser"]:
        return "is a superuser"
    if role["bypasses"]:
        return "has BYPASSRLS"
    if role["is_owner"]:
        return "owns tables, or is a member of a role that does"
    if role["may_bypass"]:
        return "is a member of a role that is a superuser or has BYPASSRLS"
    return None
