"""Which company the code is acting for: the guard in front of row-level security.

Every transaction begins by telling PostgreSQL the company (`app.company_id`), which the policies
compare with each row (S12.1). The guard raises earlier and more clearly: when a session is used
without a company, when a row of another company is written, when the company would change
inside a transaction. What must look across companies stands in `crossing` and says so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

import structlog
from sqlalchemy import Connection, event, text
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, UOWTransaction

from webapp.extensions import db
from webapp.models.base import Owned

_company: ContextVar[int | None] = ContextVar("company_id", default=None)

ACROSS = {"across_companies": True}
"""Execution options of a statement that may run without a company; only `crossing` uses it."""


class TenancyError(RuntimeError):
    """The code acts for no company, or for another one than the row's."""


def current_company_id() -> int | None:
    """The company the running code acts for, if any."""
    return _company.get()


def require_company_id() -> int:
    """The company the running code acts for; raises TenancyError without one."""
    company_id = _company.get()
    if company_id is None:
        raise TenancyError("no company: enter one with as_company(...)")
    return company_id


def enter_company(company_id: int) -> Token[int | None]:
    """Act for a company until `leave_company`; for callers that have no `with` (a request)."""
    if db.session.registry.has() and db.session().in_transaction():
        raise TenancyError("commit or roll back before entering a company")
    db.session.remove()
    return _company.set(company_id)


def leave_company(token: Token[int | None]) -> None:
    """Drop the session with everything it holds, then act for whom we acted before."""
    db.session.remove()
    _company.reset(token)


@contextmanager
def as_company(company_id: int) -> Iterator[None]:
    """Act for a company inside the block, and say so in the logs; uncommitted work is rolled back
    at its end."""
    token = enter_company(company_id)
    logged = structlog.contextvars.bind_contextvars(company_id=company_id)
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**logged)
        leave_company(token)


@event.listens_for(Session, "after_begin")
def _tell_postgres(session: Session, _transaction: SessionTransaction, at: Connection) -> None:
    company_id = _company.get()
    session.info["company_id"] = company_id
    at.execute(
        text("SELECT set_config('app.company_id', :company_id, true)"),
        {"company_id": "" if company_id is None else str(company_id)},
    )


@event.listens_for(Session, "do_orm_execute")
def _refuse_without_company(state: ORMExecuteState) -> None:
    if state.execution_options.get("across_companies"):
        return
    company_id = require_company_id()
    told = state.session.info.get("company_id", company_id)
    if state.session.in_transaction() and told != company_id:
        raise TenancyError("the company changed inside a transaction")


@event.listens_for(Session, "before_flush")
def _own_what_is_written(session: Session, _flush: UOWTransaction, _objects: Any) -> None:
    for row in session.new:
        if isinstance(row, Owned) and row.company_id is None:
            row.company_id = require_company_id()
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, Owned) and row.company_id != require_company_id():
            raise TenancyError(f"{type(row).__name__} belongs to another company")
