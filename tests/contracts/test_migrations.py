"""Models and migrations say the same, and a migration can be taken back."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import Engine, create_engine, inspect, text

import webapp.models  # noqa: F401 - registers the tables
from tests.contracts.filling import fill, make_company
from webapp import create_app
from webapp.extensions import Base
from webapp.models.base import TextEnum
from webapp.settings import Settings

SURVIVORS = ("appointments", "intents", "history_events", "discrepancies", "audit_entries")
"""Tables of the first migration whose rows no rollback may lose."""
MIGRATIONS = str(Path(__file__).parents[2] / "migrations")


def test_the_models_equal_the_migrations(app: Flask, owner_engine: Engine) -> None:
    with owner_engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)
    assert differences == [], "make flask ARGS='db revision --autogenerate'"


def test_check_constraints_of_the_models_are_in_the_database(
    app: Flask, owner_engine: Engine
) -> None:
    """Alembic doesn't compare these."""
    inspector = inspect(owner_engine)
    for table in Base.metadata.sorted_tables:
        wanted = {
            str(each.name) for each in table.constraints if type(each).__name__ == "CheckConstraint"
        }
        there = {str(each["name"]) for each in inspector.get_check_constraints(table.name)}
        assert wanted == there, table.name


def test_enumerations_are_checked_for_the_members_that_the_code_knows(
    app: Flask, owner_engine: Engine
) -> None:
    """Nor does Alembic compare what a CHECK says: a new member would be refused when it is used."""
    inspector = inspect(owner_engine)
    for table in Base.metadata.sorted_tables:
        checks = {
            str(each["name"]): set(re.findall(r"'(\w+)'", each["sqltext"]))
            for each in inspector.get_check_constraints(table.name)
        }
        for column in table.columns:
            if isinstance(column.type, TextEnum):
                known = {member.value for member in column.type.enum}
                there = checks.get(f"ck_{table.name}_{column.name}_known")
                assert there == known, (
                    f"{column}: put one_of(...) into the model, and into a migration the CHECK"
                    f" with {sorted(known)}"
                )


def test_the_database_knows_each_member_of_an_enumeration_and_no_other(
    app: Flask, owner_engine: Engine
) -> None:
    checks = {
        (table, str(each["name"])): str(each["sqltext"])
        for table in Base.metadata.tables
        for each in inspect(owner_engine).get_check_constraints(table)
    }
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, TextEnum):
                check = checks[(table.name, f"ck_{table.name}_{column.name}_known")]
                known = set(re.findall(r"'([^']*)'::text", check))
                members = {member.value for member in column.type.enum}
                assert known == members, f"widen {table.name}.{column.name} in a migration"


def test_each_migration_is_taken_back_and_done_again_with_rows_in_every_table(
    migrated_app: Flask, settings: Settings, owner_engine: Engine
) -> None:
    """A rollback must not need empty tables, and what the first migration holds outlives it."""
    with schema_of_its_own(settings, owner_engine, "migrations_with_rows") as engine:
        upgrade()
        company_id = make_company(engine)
        fill(engine, company_id)
        revisions = [each.revision for each in ScriptDirectory(MIGRATIONS).walk_revisions()]
        for revision in revisions[1:]:
            downgrade(revision=revision)
            assert count(engine, *SURVIVORS) == 1, revision
        for revision in reversed(revisions[:-1]):
            upgrade(revision=revision)
        assert count(engine, *SURVIVORS) == 1
        fill(engine, company_id)
        downgrade(revision="base")


def count(engine: Engine, *tables: str) -> int:
    """The rows of each table, which have to be equally many."""
    with engine.connect() as connection:
        counts = {
            connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in tables
        }
    assert len(counts) == 1
    return int(counts.pop())


@contextmanager
def schema_of_its_own(settings: Settings, owner_engine: Engine, schema: str) -> Iterator[Engine]:
    """Inside an application over an empty schema; the owner's engine there."""
    with owner_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {schema}"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO lockstep_app"))
    path = f"?options=-csearch_path%3D{schema}"
    there = settings.model_copy(
        update={
            "database_url": settings.database_url + path,
            "database_owner_url": (settings.database_owner_url or "") + path,
        }
    )
    engine = create_engine(there.database_owner_url or "")
    with create_app(there).app_context():
        yield engine
    engine.dispose()


def test_all_migrations_go_down_and_up_again(
    migrated_app: Flask, settings: Settings, owner_engine: Engine
) -> None:
    """In a schema of its own: other tests go on in theirs."""
    schema = "migrations_down_and_up"
    with schema_of_its_own(settings, owner_engine, schema) as engine:
        upgrade()
        downgrade(revision="base")
        assert inspect(engine).get_table_names(schema=schema) == ["alembic_version"]
        upgrade()
        assert len(inspect(engine).get_table_names(schema=schema)) > 10
        downgrade(revision="base")
