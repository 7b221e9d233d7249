"""Between companies: every table with a company has its policy and its grants, by pg_catalog; and
connected as the role that serves, a stranger gets nothing out of any table, and nothing in."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, Table, create_engine, text
from sqlalchemy.exc import ProgrammingError

from tests.contracts.filling import OWNED, Row
from tests.factories import Tenant
from webapp.extensions import Base
from webapp.models.serving_role import objection_to_role
from webapp.settings import Settings

HERE = "tests/contracts/test_walls.py"
WITHOUT_COMPANY: dict[str, set[str]] = {
    "alembic_version": {"SELECT"},
    "heartbeats": {"SELECT", "INSERT", "UPDATE", "DELETE"},
}
"""Tables that hold nothing of any company → what our role may do with them."""
CROSSINGS = {
    "all_company_ids",
    "audit_horizon",
    "company_of_access_link",
    "company_of_api_token",
    "company_of_phone_token",
    "company_of_slug",
    "company_of_user",
    "company_of_webhook_token",
    "due_rows",
    "forget_words_of_customer",
    "is_event_type_claimed_elsewhere",
    "is_uid_claimed_elsewhere",
    "login_by_email",
    "prune_audit",
    "prune_history",
}
UNIQUE_OVER_ALL = {
    "uq_access_links_token_hash",
    "uq_api_tokens_token_hash",
    "uq_booking_aliases_calcom_host_uid",
    "uq_companies_slug",
    "uq_companies_phone_token",
    "uq_companies_webhook_token",
    "uq_services_event_type",
    "uq_users_email_folded",
    "uq_users_id",
}
"""What is claimed for everybody. Any other uniqueness would tell one company of another's rows."""
APPEND_ONLY = {"audit_checkpoints", "audit_entries", "audit_seals", "history_events"}
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
    walled = {table.name for table in OWNED} | {"companies"}
    assert {row.relname for row in rows} == walled, "a table without a model, or the reverse"
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
    for table, granted in WITHOUT_COMPANY.items():
        assert verbs.pop(table) == granted, table
    walled = {table.name for table in OWNED} | {"companies"}
    assert set(verbs) == walled, f"no company_id: give it one, or name it in {HERE} and say why"
    for table, granted in verbs.items():
        if table in APPEND_ONLY:
            assert granted == {"SELECT", "INSERT"}, f"{table} is append-only"
        assert not granted & {"TRUNCATE", "REFERENCES", "TRIGGER"}, table


def test_nothing_is_granted_beside_the_tables(app: Flask, owner_engine: Engine) -> None:
    """A grant on a column would escape the list of grants, a view would show its owner's rows."""
    columns = catalog(
        owner_engine,
        """SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
             JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND a.attacl IS NOT NULL""",
    )
    assert columns == []
    views = catalog(
        owner_engine,
        """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND c.relkind IN ('v', 'm', 'f')""",
    )
    assert views == [], "a view reads as its owner, who sees every company: use a query"


def test_keys_and_foreign_keys_hold_the_company(app: Flask, owner_engine: Engine) -> None:
    """Foreign keys are checked beneath row-level security: without the company in them one could
    point at a stranger's row, and so learn that it is there."""
    keys = catalog(
        owner_engine,
        """SELECT c.conname, c.contype::text AS contype, c.conrelid::regclass::text AS relation,
                  c.confrelid::regclass::text AS target,
                  ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(n, i)
                          JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n
                         ORDER BY i) AS columns,
                  ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(n, i)
                          JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n
                         ORDER BY i) AS there
             FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
            WHERE n.nspname = 'public' AND c.contype IN ('p', 'f')""",
    )
    owned = {table.name for table in OWNED}
    primary = {row.relation: row.columns for row in keys if row.contype == "p"}
    assert owned <= set(primary), "a table without a primary key"
    for table in owned:
        assert primary[table][0] == "company_id", f"{table}: derive it from Owned"
    foreign = [row for row in keys if row.contype == "f" and row.target != "companies"]
    assert foreign
    for row in foreign:
        pairs = list(zip(row.columns, row.there, strict=True))
        assert ("company_id", "company_id") in pairs, f"{row.conname}: use belongs_to(...)"


def test_uniqueness_is_the_companys_own(app: Flask, owner_engine: Engine) -> None:
    rows = catalog(
        owner_engine,
        """SELECT i.relname, array_agg(a.attname::text) AS columns
             FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
             JOIN pg_namespace n ON n.oid = i.relnamespace
             JOIN pg_attribute a ON a.attrelid = i.oid
            WHERE n.nspname = 'public' AND x.indisunique AND NOT x.indisprimary GROUP BY 1""",
    )
    over_all = {row.relname for row in rows if "company_id" not in row.columns}
    assert over_all == UNIQUE_OVER_ALL, f"begin it with company_id, or name it in {HERE}"


def test_instants_have_a_zone_and_enumerations_are_text(app: Flask, owner_engine: Engine) -> None:
    """SPEC S2: native enumerations cost their index under row-level security."""
    rows = catalog(
        owner_engine,
        """SELECT table_name || '.' || column_name AS name, data_type
             FROM information_schema.columns
            WHERE table_schema = 'public' AND data_type IN
                  ('timestamp without time zone', 'time without time zone', 'USER-DEFINED',
                   'character varying', 'character')""",
    )
    wrong = {row.name: row.data_type for row in rows if row.name != "alembic_version.version_num"}
    assert not wrong, f"timestamptz and text with a CHECK: {wrong}"


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
    names = {row.proname for row in rows}
    assert names == CROSSINGS, f"few and named (S12.1): {HERE}, CROSSINGS"
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
def two_companies(ours: dict[str, Row], other_company: Tenant) -> tuple[int, int]:
    """A company with a row in every table, and one that must see none of them."""
    return ours["companies"]["id"], other_company.id


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
    for generated in ("id", *(each.name for each in table.columns if each.computed is not None)):
        row.pop(generated, None)
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
