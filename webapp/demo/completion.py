"""Whether the sample data is whole: a seed that was interrupted leaves half a story, which the next
one throws away. Data of others is never touched."""

from collections.abc import Callable

from sqlalchemy import create_engine, select, text

from webapp import clock
from webapp.application import settings
from webapp.demo.cast import TROUPES
from webapp.extensions import Base, db
from webapp.models.audit import AuditEntry, record_audit
from webapp.models.crossing import company_ids, company_of_slug, company_of_webhook_token
from webapp.models.tenancy import as_company

COMPLETE = "demo.seeded"


class ForeignDataError(RuntimeError):
    """The database holds companies that are not the demo's."""


def is_complete() -> bool:
    """Whether the last act of a seed, its mark in the audit log, is there."""
    company_id = _last_company()
    if company_id is None:
        return False
    with as_company(company_id):
        mark = select(AuditEntry.id).where(
            AuditEntry.company_id == company_id, AuditEntry.action == COMPLETE
        )
        return db.session.scalar(mark.limit(1)) is not None


def mark_complete() -> None:
    company_id = _last_company()
    if company_id is not None:
        with as_company(company_id):
            record_audit(db.session(), COMPLETE, f"company:{company_id}", at=clock.now())
            db.session.commit()


def clear_away(say: Callable[[str], None]) -> None:
    """Empty the tables of an interrupted seed; raises ForeignDataError where others have data.

    The demo's companies are known by their webhook addresses: a real company may well have the same
    short name, but its address is random.
    """
    companies = company_ids(db.session())
    tokens = [troupe.webhook_token for troupe in TROUPES]
    ours = [found for token in tokens if (found := company_of_webhook_token(db.session(), token))]
    db.session.rollback()
    if set(companies) - set(ours):
        raise ForeignDataError("this database holds companies that are not the demo's")
    if companies:
        say("An earlier start was interrupted: making the sample data anew")
        _truncate()


def _truncate() -> None:
    engine = create_engine(settings().database_owner_url or settings().database_url)
    names = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    engine.dispose()


def _last_company() -> int | None:
    company_id = company_of_slug(db.session(), TROUPES[-1].slug)
    db.session.rollback()
    return company_id
