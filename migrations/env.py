"""Alembic's environment: migrations run as the owner of the tables, not as the role that serves."""

from alembic import context
from flask import current_app
from sqlalchemy import create_engine, pool

import webapp.models  # noqa: F401 - registers the tables
from webapp.extensions import Base
from webapp.settings import Settings


def run() -> None:
    settings: Settings = current_app.extensions["settings"]
    if settings.database_owner_url is None:
        raise SystemExit("Migrations need DATABASE_OWNER_URL, the role that owns the tables.")
    engine = create_engine(settings.database_owner_url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_type=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
