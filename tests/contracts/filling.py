"""A row of everything: for any table of ours, whatever its columns, so that rules which need rows
cover tables that come later too. What a table's constraints ask for stands in NEEDS."""

import os
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import JSON, Column, Connection, Engine, Table
from sqlalchemy.exc import IntegrityError

import webapp.models  # noqa: F401 - registers the tables
from webapp import clock
from webapp.extensions import Base
from webapp.models.base import TextEnum

Row = dict[str, Any]

CANARY = "Kanarienvogel"
"""Stands in every text of a filled row: who sees it sees a row."""

OWNED = [table for table in Base.metadata.sorted_tables if "company_id" in table.columns]

NEEDS: dict[str, Row] = {
    "runs": {"status": "done", "finished_at": clock.now()},
    "run_sightings": {"kind": "seen"},
    "incidents": {
        "settled_at": lambda number: None if number == 1 else clock.now(),
        "settlement": lambda number: None if number == 1 else "by_itself",
    },
    "customers": {
        "email": lambda number: f"{CANARY}{number}@x.test",
        "email_folded": lambda number: f"{number}@x.test",
    },
    "users": {"role": "staff"},
    "card_days": {"day": lambda number: (clock.now() - timedelta(days=number)).date()},
    "appointments": {
        "calcom_sync_status": "failed",
        "requires_manual_review": True,
        "manual_review_flagged_at": clock.now(),
        "starts_at": lambda number: clock.now() + timedelta(hours=number),
        "ends_at": lambda number: clock.now() + timedelta(hours=number + 1),
    },
    "access_links": {
        "kind": "invitation",
        "role": "staff",
        "user_id": None,
        "token_hash": lambda _number: os.urandom(32),
        "email_folded": lambda number: f"{number}@link.test",
        "expires_at": clock.now() + timedelta(days=1),
    },
    "api_tokens": {"scopes": ["stats:read"], "token_hash": lambda _number: os.urandom(32)},
    "idempotency_keys": {"status": 201, "answer": {"body": "{}", "headers": {}}},
    "intents": {"status": "done", "finished_at": clock.now()},
    "discrepancies": {"type": "data_mismatch"},
    "deliveries": {"status": "applied"},
    "phone_answers": {"function": "book_appointment"},
    "remote_changes": {"kind": "created"},
    "bulk_actions": {"status": "done", "finished_at": clock.now()},
    "bulk_items": {"status": "settled", "finished_at": clock.now()},
    "notifications": {"type": "data_mismatch", "channel_id": None},
    "mail_preferences": {"type": "data_mismatch"},
    "thresholds": {"kind": "orphans"},
    "sendings": {"status": "sent", "finished_at": clock.now(), "channel_id": None},
}
"""What a row of a table needs beyond a sample of each column's type; a function where it depends on
the row's number."""

FEW = {"thresholds"}
"""Tables of which a company has a row of each kind and no more: one will do."""

SAMPLES = {"locale": "en", "language": "en", "time_zone": "Europe/Berlin", "currency": "EUR"}


def fill(
    owner_engine: Engine, company_id: int, *, number: int = 1, word: str = CANARY
) -> dict[str, Row]:
    """A row in every table of a company that is there already, by the table's name.

    Of the first set only what is missing is made; later ones are new, each with parents of its own.
    Texts hold the word.
    """
    companies = Base.metadata.tables["companies"]
    with owner_engine.begin() as connection:
        own = connection.execute(companies.select().where(companies.c.id == company_id))
        rows: dict[str, Row] = {"companies": dict(own.mappings().one())}
        for table in OWNED:
            is_made = number == 1 or table.name in FEW
            there = _first(connection, table, company_id) if is_made else None
            rows[table.name] = there or _insert(connection, table, rows, number, word)
    return rows


def make_company(owner_engine: Engine) -> int:
    """A company without anything, whatever its columns; returns its id."""
    companies = Base.metadata.tables["companies"]
    values = {
        column.name: _sample(column, 1, CANARY)
        for column in companies.columns
        if _needs_value(column) or column.default is not None
    }
    values |= {
        column.name: column.default.arg
        for column in companies.columns
        if column.default is not None and column.default.is_scalar
    }
    with owner_engine.begin() as connection:
        made = companies.insert().values(values | {"slug": "filled"}).returning(companies.c.id)
        return int(connection.execute(made).scalar_one())


def crowd(owner_engine: Engine, company_id: int, first: Mapping[str, Row], *, numbers: int) -> None:
    """Many rows of everything: as many sets again, and each with the first set's parents too."""
    for number in range(2, numbers + 2):
        fill(owner_engine, company_id, number=number)
        with owner_engine.begin() as connection:
            for table in OWNED:
                if _parents(table):
                    _try_insert(connection, table, first, 1000 + number)


def _first(connection: Connection, table: Table, company_id: int) -> Row | None:
    query = table.select().where(table.c.company_id == company_id).order_by(*table.primary_key)
    row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else dict(row)


def _insert(
    connection: Connection, table: Table, rows: Mapping[str, Row], number: int, word: str
) -> Row:
    values = _values(table, rows, number, word)
    try:
        with connection.begin_nested():
            made = connection.execute(table.insert().values(values).returning(table))
            return dict(made.mappings().one())
    except IntegrityError as error:
        raise AssertionError(
            f"say in tests/contracts/filling.py, NEEDS[{table.name!r}], what a row needs:"
            f" {error.orig}"
        ) from None


def _try_insert(connection: Connection, table: Table, rows: Mapping[str, Row], number: int) -> None:
    """Where one parent may have only one such row, there is nothing to add."""
    try:
        with connection.begin_nested():
            connection.execute(table.insert().values(_values(table, rows, number, CANARY)))
    except IntegrityError:
        return


def _values(table: Table, rows: Mapping[str, Row], number: int, word: str) -> Row:
    parents = _parents(table)
    values: Row = {"company_id": rows["companies"]["id"]}
    for column in table.columns:
        if column.name in parents:
            parent, key = parents[column.name]
            values[column.name] = rows[parent][key]
        elif column.name not in values and _needs_value(column):
            values[column.name] = _sample(column, number, word)
    needed = NEEDS.get(table.name, {})
    return values | {
        name: value(number) if callable(value) else value for name, value in needed.items()
    }


def _parents(table: Table) -> dict[str, tuple[str, str]]:
    """Column → (table, column) that it refers to, within the company."""
    return {
        element.parent.name: (element.column.table.name, element.column.name)
        for constraint in table.foreign_key_constraints
        for element in constraint.elements
        if element.parent.name != "company_id" and element.column.table is not table
    }


def _needs_value(column: Column[Any]) -> bool:
    is_given = column.default or column.server_default or column.identity
    return not column.nullable and not is_given


def _sample(column: Column[Any], number: int, word: str) -> Any:
    if isinstance(column.type, TextEnum):
        return next(iter(column.type.enum)).value
    if column.name in SAMPLES:
        return SAMPLES[column.name]
    if isinstance(column.type, JSON):
        return {}
    samples = {
        int: number,
        bool: True,
        dict: {},
        list: [],
        bytes: number.to_bytes(32, "big"),
        str: f"{word} {number}",
        uuid.UUID: uuid.uuid4(),
    }
    return samples.get(column.type.python_type, clock.now())
