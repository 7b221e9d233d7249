"""How a migration walls off a table: grants and a row-level security policy for the role that
serves (S12.1). Called by migrations only; a contract over pg_catalog checks the result."""

from collections.abc import Iterable

from alembic import op
from flask import current_app
from sqlalchemy import text

# After one SET LOCAL the setting reads '' in later transactions, not NULL: hence nullif.
CURRENT_COMPANY = "nullif(current_setting('app.company_id', true), '')::bigint"


def app_role() -> str:
    """The role out of DATABASE_URL, quoted for SQL."""
    role = str(current_app.extensions["settings"].app_role)
    return '"' + role.replace('"', '""') + '"'


def wall_off(table: str, verbs: str, *, key: str = "company_id") -> None:
    """Grant `verbs` on a table and show each company its own rows only.

    No FORCE: the owner (migrations, definer functions) has to see everything.
    """
    role = app_role()
    own = f"{key} = {CURRENT_COMPANY}"
    for statement in (
        f"REVOKE ALL ON {table} FROM PUBLIC",
        f"GRANT {verbs} ON {table} TO {role}",
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY own_company ON {table} TO {role} USING ({own}) WITH CHECK ({own})",
    ):
        op.execute(text(statement))


def define_crossing(signature: str, returns: str, body: str, *, volatility: str = "STABLE") -> None:
    """Create a function that sees all companies and returns ids only; only our role may call it.

    One that writes is VOLATILE, and has to keep to the current company by itself.
    """
    name_and_types = _without_parameter_names(signature)
    for statement in (
        f"CREATE FUNCTION {signature} RETURNS {returns} LANGUAGE sql {volatility} SECURITY DEFINER"
        f" SET search_path = pg_catalog, public, pg_temp AS $body$ {body} $body$",
        f"REVOKE ALL ON FUNCTION {name_and_types} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {name_and_types} TO {app_role()}",
    ):
        op.execute(statement)


def drop_crossings(signatures: Iterable[str]) -> None:
    for signature in signatures:
        op.execute(f"DROP FUNCTION {_without_parameter_names(signature)}")


def _without_parameter_names(signature: str) -> str:
    name, _, parameters = signature.rstrip(")").partition("(")
    types = [part.split()[1] for part in parameters.split(",") if part.strip()]
    return f"{name}({', '.join(types)})"
