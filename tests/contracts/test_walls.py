"""Between companies: every table with a company has its policy and its grants, by pg_catalog; and
connected as the role that serves, a stranger gets nothing out of any table, and nothing in."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import JSON, Connection, Engine, Table, create_engine, text
from sqlalchemy.exc import ProgrammingError

from tests.factories import Tenant
from webapp import clock
from webapp.extensions import Base
from webapp.models.serving_role import objection_to_role
from webapp.settings import Settings

OWNED = [table for table in Base.metadata.sorted_tables if "company_id" in table.columns]
APPEND_ONLY = {"history_events", "audit_entries"}
KEYS = {"companies": "id"}


@pytest.fixture
def serving(app: Flask, settings: Settings) -> Iterator[Engine]:
    """The role that serves, without our session and its guard in front."""
    engine = create_engine(settings.database_url)
    yield engine
    engine.dispose()


def catalog(owner_engine: Engine, query: str) -> list[Any]:
    with owner_engine.connect() as connection:
        return list(connection.execute(text(query)))


def test_every_table_with_a_company_has_row_level_security_and_one_policy_for_our_role(
    app: Flask, owner_engine: Engine
) -> None:
    rows = catalog(
        owner_engine,
        """SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, p.polcmd, p.polpermissive,
                  ARRAY(SELECT rolname FROM pg_roles WHERE oid = ANY (p.polroles)) AS roles,
                  pg_get_expr(p.polqual, p.polrelid) AS using_,
                  pg_get_expr(p.polwithcheck, p.polrelid) AS check_
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             LEFT JOIN pg_policy p ON p.polrelid = c.oid
            WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
              AND (c.relname = 'companies' OR EXISTS (
                    SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid
                       AND a.attname = 'company_id' AND NOT a.attisdropped))""",
    )
    assert {row.relname for row in rows} == {table.name for table in OWNED} | {"companies"}
    assert len(rows) == len(OWNED) + 1, "one policy a table: a second permissive one adds rows"
    for row in rows:
        hint = f"call wall_off('{row.relname}', …) in its migration"
        assert row.relrowsecurity, hint
        assert not row.relforcerowsecurity, "FORCE would blind migrations and definer functions"
        assert row.roles == ["lockstep_app"], hint
        assert row.polcmd == "*", hint
        key = KEYS.get(row.relname, "company_id")
        for expression in (row.using_, row.check_):
            assert expression.startswith(f"({key} = ("), hint
            assert "NULLIF(current_setting('app.company_id'" in expression, hint


def test_every_table_has_exactly_the_grants_it_needs(app: Flask, owner_engine: Engine) -> None:
    rows = catalog(
        owner_engine,
        """SELECT table_name, grantee, array_agg(privilege_type::text) AS verbs
             FROM information_schema.role_table_grants
            WHERE table_schema = 'public' AND grantee <> 'lockstep_owner' GROUP BY 1, 2""",
    )
    assert {row.grantee for row in rows} == {"lockstep_app"}, "PUBLIC or others may read a table"
    verbs = {row.table_name: set(row.verbs) for row in rows}
    assert verbs.pop("alembic_version") == {"SELECT"}
    assert set(verbs) == {table.name for table in Base.metadata.sorted_tables}
    for table, granted in verbs.items():
        if table in APPEND_ONLY:
            assert granted == {"SELECT", "INSERT"}, f"{table} is append-only"
        assert not granted & {"TRUNCATE", "REFERENCES", "TRIGGER"}, table


def test_functions_that_look_across_companies_are_named_fenced_and_return_ids(
    app: Flask, owner_engine: Engine
) -> None:
    rows = catalog(
        owner_engine,
        """SELECT p.proname, p.prosecdef, p.proconfig, p.proacl::text AS acl,
                  pg_get_function_result(p.oid) AS result
             FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname = 'public'""",
    )
    assert {row.proname for row in rows} == {
        "login_by_email",
        "company_of_user",
        "company_of_webhook_token",
        "company_of_slug",
        "all_company_ids",
        "due_rows",
        "is_uid_claimed_elsewhere",
        "is_event_type_claimed_elsewhere",
    }
    for row in rows:
        assert row.prosecdef, row.proname
        assert row.proconfig == ["search_path=pg_catalog, public, pg_temp"], row.proname
        assert "=X/" not in row.acl.replace("lockstep_app=X/", "").replace(
            "lockstep_owner=X/", ""
        ), f"{row.proname} may be called by everybody"
        words = row.result.replace("TABLE(", "").replace(")", "").replace("SETOF ", "")
        assert all(
            part.strip() in {"bigint", "boolean", "company_id bigint", "user_id bigint"}
            or part.strip() in {"id bigint", "kind text"}
            for part in words.split(",")
        ), f"{row.proname} returns more than ids: {row.result}"


@pytest.fixture
def two_companies(
    app: Flask, owner_engine: Engine, company: Tenant, other_company: Tenant
) -> tuple[int, int]:
    """A company with a row in every table, and one that must see none of them."""
    with owner_engine.begin() as connection:
        rows = {"companies": {"id": company.id}}
        for table in OWNED:
            rows[table.name] = _fill(connection, table, company.id, rows)
    return company.id, other_company.id


def _fill(
    connection: Connection, table: Table, company_id: int, made: dict[str, Any]
) -> dict[str, Any]:
    """Any row of the table that its constraints allow: one that is there, or a made-up one."""
    found = connection.execute(
        table.select().where(table.c.company_id == company_id).limit(1)
    ).mappings()
    row = found.first()
    if row is not None:
        return dict(row)
    values = {
        column.name: _value(table, column.name, company_id, made)
        for column in table.columns
        if not column.nullable and column.name != "id"
    }
    values |= SPECIAL.get(table.name, {})
    return dict(connection.execute(table.insert().values(values).returning(table)).mappings().one())


SPECIAL: dict[str, dict[str, Any]] = {
    "runs": {"scope": "scheduled", "status": "done", "finished_at": clock.now()},
    "users": {"role": "staff", "locale": "en"},
    "appointments": {
        "status": "confirmed",
        "calcom_sync_status": "pending",
        "ends_at": clock.now().replace(year=2099),
        "requires_manual_review": False,
    },
    "intents": {"kind": "create", "status": "done", "finished_at": clock.now()},
    "discrepancies": {"type": "data_mismatch"},
    "deliveries": {"status": "applied"},
    "notifications": {"type": "data_mismatch", "repeat_count": 1},
    "history_events": {"kind": "booked"},
    "audit_entries": {"actor": "system"},
    "bulk_actions": {"kind": "retry", "status": "done", "finished_at": clock.now()},
    "bulk_items": {"status": "settled", "finished_at": clock.now()},
}


def _value(table: Table, name: str, company_id: int, made: dict[str, Any]) -> Any:
    if name == "company_id":
        return company_id
    parents = {"customer_id": "customers", "service_id": "services", "user_id": "users"}
    parents |= {"appointment_id": "appointments", "intent_id": "intents"}
    parents |= {"discrepancy_id": "discrepancies", "bulk_action_id": "bulk_actions"}
    parents |= {"requested_by_user_id": "users"}
    if name in parents:
        return made[parents[name]]["id"]
    if "origin" in name:
        return "admin"
    if isinstance(table.c[name].type, JSON):
        return {}
    kind = table.c[name].type.python_type
    samples = {
        int: 1,
        bool: True,
        dict: {},
        list: [],
        bytes: b"x",
        str: "x",
        uuid.UUID: uuid.uuid4(),
    }
    return samples.get(kind, clock.now())


def as_stranger(connection: Connection, company_id: int) -> None:
    connection.execute(
        text("SELECT set_config('app.company_id', :id, true)"), {"id": str(company_id)}
    )


@pytest.mark.parametrize("table", OWNED, ids=lambda table: table.name)
def test_a_stranger_sees_changes_and_removes_nothing(
    serving: Engine, two_companies: tuple[int, int], table: Table
) -> None:
    owner, stranger = two_companies
    with serving.connect() as connection:
        as_stranger(connection, stranger)
        mine = table.c.company_id == owner
        assert connection.execute(table.select().where(mine)).all() == []
        assert _affected(connection, table.update().where(mine).values(company_id=owner)) == 0
        assert _affected(connection, table.delete().where(mine)) == 0
    with serving.connect() as connection:
        as_stranger(connection, owner)
        assert connection.execute(table.select().where(mine)).all(), "the test's own row is missing"


@pytest.mark.parametrize("table", OWNED, ids=lambda table: table.name)
def test_a_stranger_can_neither_insert_for_others_nor_give_a_row_away(
    serving: Engine, owner_engine: Engine, two_companies: tuple[int, int], table: Table
) -> None:
    owner, stranger = two_companies
    with owner_engine.connect() as connection:
        row = dict(
            connection.execute(table.select().where(table.c.company_id == owner).limit(1))
            .mappings()
            .one()
        )
    row.pop("id", None)
    with serving.connect() as connection:
        as_stranger(connection, stranger)
        with pytest.raises(ProgrammingError, match="row-level security"):
            connection.execute(table.insert().values(row))
    if table.name in APPEND_ONLY:
        return
    with serving.connect() as connection:
        as_stranger(connection, owner)
        with pytest.raises(ProgrammingError, match="row-level security"):
            connection.execute(table.update().values(company_id=stranger))


@pytest.mark.parametrize("table", OWNED, ids=lambda table: table.name)
def test_without_a_company_there_is_nothing_also_after_one_was_set(
    serving: Engine, two_companies: tuple[int, int], table: Table
) -> None:
    with serving.connect() as connection:
        assert connection.execute(table.select()).all() == []
        connection.rollback()
        as_stranger(connection, two_companies[0])
        assert connection.execute(table.select()).all() != []
        connection.rollback()
        assert connection.execute(table.select()).all() == []


def test_a_stranger_cannot_see_or_change_the_company_itself(
    serving: Engine, two_companies: tuple[int, int]
) -> None:
    owner, stranger = two_companies
    companies = Base.metadata.tables["companies"]
    with serving.connect() as connection:
        as_stranger(connection, stranger)
        seen = connection.execute(companies.select()).all()
        assert [row.id for row in seen] == [stranger]
        change = companies.update().where(companies.c.id == owner).values(name="mine")
        assert _affected(connection, change) == 0


def test_the_serving_role_is_bound_by_the_walls_and_the_owner_would_be_refused(
    serving: Engine, owner_engine: Engine, app: Flask
) -> None:
    with serving.connect() as connection:
        assert objection_to_role(connection) is None
    with owner_engine.connect() as connection:
        assert objection_to_role(connection) == ("owns tables, or is a member of a role that does")


def test_folded_text_keeps_its_index_behind_the_policy(
    serving: Engine, owner_engine: Engine, two_companies: tuple[int, int]
) -> None:
    """Only leakproof operators may use an index under row-level security (SPEC S2)."""
    with owner_engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO customers (company_id, name, name_folded, email, email_folded,"
                " time_zone, language, created_at) SELECT :id, 'n' || i, 'n' || i, i || '@x',"
                " i || '@x', 'UTC', 'en', now() FROM generate_series(1, 3000) i"
            ),
            {"id": two_companies[0]},
        )
        connection.execute(text("ANALYZE customers"))
    with serving.connect() as connection:
        as_stranger(connection, two_companies[0])
        for condition in ("email_folded = '7@x'", "name_folded >= 'n7' AND name_folded < 'n8'"):
            plan = connection.execute(text(f"EXPLAIN SELECT * FROM customers WHERE {condition}"))
            lines = [row[0] for row in plan]
            used = [line for line in lines if "Index Cond" in line]
            assert any(condition.split()[0] in line for line in used), lines


def _affected(connection: Connection, statement: Any) -> int:
    """Rows touched; a missing grant touches none either."""
    try:
        with connection.begin_nested():
            return int(connection.execute(statement).rowcount)
    except ProgrammingError as error:
        assert "permission denied" in str(error)  # noqa: PT017 - either wall will do
        return 0
