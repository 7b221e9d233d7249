"""The job that seals a company's audit log: first learn up to where it is complete, then seal."""

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from webapp import clock
from webapp.extensions import db
from webapp.logs import log
from webapp.models.audit_chain import has_unsealed, seal_entries
from webapp.models.crossing import audit_horizon
from webapp.models.tenancy import as_company, require_company_id

BATCH = 500
LOCK_MILLISECONDS = 1000
"""Longer than this nobody waits with an audited change because of a seal; the next slot tries."""


def begin_sealing(session: Session) -> int | None:
    """The company's own id where there is something to seal."""
    return require_company_id() if has_unsealed(session) else None


def seal(company_id: int, _row_id: int) -> int:
    """Seal whatever is complete; returns how many entries."""
    with as_company(company_id):
        horizon = _horizon()
        if horizon is None:
            log("audit").info("sealing_waits", company_id=company_id)
            return 0
        number = 0
        while sealed := seal_entries(db.session(), horizon=horizon, limit=BATCH, now=clock.now()):
            db.session.commit()
            number += sealed
        db.session.rollback()
    return number


def _horizon() -> int | None:
    """None where somebody's change takes its time; the lock ends with this transaction."""
    db.session.execute(text(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}"))
    try:
        horizon = audit_horizon(db.session())
    except OperationalError:
        db.session.rollback()
        return None
    db.session.commit()
    return horizon
