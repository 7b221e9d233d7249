"""Models and migrations say the same, and a migration can be taken back."""

import re

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import Engine, create_engine, inspect, text

import webapp.models  # noqa: F401 - registers the tables
from webapp import create_app
from webapp.extensions import Base
from webapp.models.base import TextEnum
from webapp.settings import Settings


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


def test_all_migrations_go_down_and_up_again(
    migrated_app: Flask, settings: Settings, owner_engine: Engine
) -> None:
    """In a database of its own: other tests go on in theirs."""
    with owner_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        schema = "migrations_down_and_up"
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
    app = create_app(there)
    with app.app_context():
        upgrade()
        downgrade(revision="base")
        engine = create_engine(there.database_owner_url or "")
        assert inspect(engine).get_table_names(schema=schema) == ["alembic_version"]
        upgrade()
        assert len(inspect(engine).get_table_names(schema=schema)) > 10
        downgrade(revision="base")
        engine.dispose()
