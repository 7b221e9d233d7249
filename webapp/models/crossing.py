"""What must look across companies: few, named, each a SECURITY DEFINER function in the database
that returns ids or counts and nothing else (S12.1). The application role sees no other company's
rows; those that remove something keep to the current company's, in the database."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.models.base import fold
from webapp.models.tenancy import ACROSS


class Login(NamedTuple):
    company_id: int
    user_id: int


class DueRow(NamedTuple):
    """Something the pulse has to see to; `kind` names the job."""

    kind: str
    company_id: int
    id: int


def find_login(session: Session, email: str) -> Login | None:
    """Whose e-mail this is, for the login form."""
    row = session.execute(
        text("SELECT company_id, user_id FROM login_by_email(:email)"),
        {"email": fold(email)},
        execution_options=ACROSS,
    ).one_or_none()
    return None if row is None else Login(*row)


def company_of_user(session: Session, user_id: int) -> int | None:
    """The company of a user id out of a session cookie."""
    return _scalar(session, "SELECT company_of_user(:key)", user_id)


def company_of_webhook_token(session: Session, token: str) -> int | None:
    """The company whose webhook address carries this token."""
    return _scalar(session, "SELECT company_of_webhook_token(:key)", token)


def company_of_api_token(session: Session, token_hash: bytes) -> int | None:
    """The company whose API token this is the hash of, revoked or not."""
    return _scalar(session, "SELECT company_of_api_token(:key)", token_hash)


def company_of_access_link(session: Session, token_hash: bytes) -> int | None:
    """The company that an invitation or password link belongs to, over or not."""
    return _scalar(session, "SELECT company_of_access_link(:key)", token_hash)


def company_of_phone_token(session: Session, token: str) -> int | None:
    """The company whose telephone door's address carries this token."""
    return _scalar(session, "SELECT company_of_phone_token(:key)", token)


def company_of_slug(session: Session, slug: str) -> int | None:
    """The company an operator names on the command line."""
    return _scalar(session, "SELECT company_of_slug(:key)", slug)


def company_ids(session: Session) -> list[int]:
    """Every company, for the periodic checks and the command line."""
    rows = session.execute(text("SELECT all_company_ids()"), execution_options=ACROSS)
    return list(rows.scalars())


def next_company_id(session: Session) -> int:
    """A fresh id: a company is made by acting for it before its row exists."""
    return int(
        session.execute(
            text("SELECT nextval(pg_get_serial_sequence('companies', 'id'))"),
            execution_options=ACROSS,
        ).scalar_one()
    )


def due_rows(session: Session, now: datetime, limit: int) -> list[DueRow]:
    """What is due at `now`, people's work first: `(kind, company_id, id)`."""
    rows = session.execute(
        text("SELECT kind, company_id, id FROM due_rows(:now, :limit)"),
        {"now": now, "limit": limit},
        execution_options=ACROSS,
    )
    return [DueRow(*row) for row in rows]


def is_uid_claimed_elsewhere(session: Session, host: str, uid: str, company_id: int) -> bool:
    """Whether another company holds this Cal.com booking."""
    return bool(
        session.execute(
            text("SELECT is_uid_claimed_elsewhere(:host, :uid, :company_id)"),
            {"host": host, "uid": uid, "company_id": company_id},
            execution_options=ACROSS,
        ).scalar_one()
    )


def is_event_type_claimed_elsewhere(
    session: Session, host: str, event_type_id: int, company_id: int
) -> bool:
    """Whether another company offers this Cal.com event type."""
    return bool(
        session.execute(
            text("SELECT is_event_type_claimed_elsewhere(:host, :event_type_id, :company_id)"),
            {"host": host, "event_type_id": event_type_id, "company_id": company_id},
            execution_options=ACROSS,
        ).scalar_one()
    )


def audit_horizon(session: Session) -> int:
    """Up to which id the audit log is complete: no transaction can bring a lower one any more.

    Waits for those who write just now, and lets nobody write until the transaction ends.
    """
    return _count(session, "SELECT audit_horizon()")


def prune_audit(session: Session, before: datetime, most: int) -> int:
    """Forget the current company's sealed entries from before an instant, oldest first, and leave a
    checkpoint; returns how many. None that is younger than 30 days by the database's clock."""
    return _count(session, "SELECT prune_audit(:before, :most)", before=before, most=most)


def prune_history(session: Session, before: datetime, most: int) -> int:
    """Forget the current company's history from before an instant, but of nothing that is still to
    come or flagged; returns how many. None that is younger than 30 days by the database's clock."""
    return _count(session, "SELECT prune_history(:before, :most)", before=before, most=most)


def forget_words_of_customer(session: Session, customer_id: int) -> int:
    """Remove what was typed out of the history of an erased customer of the current company."""
    return _count(session, "SELECT forget_words_of_customer(:customer)", customer=customer_id)


def _count(session: Session, query: str, **values: object) -> int:
    return int(session.execute(text(query), values, execution_options=ACROSS).scalar_one())


def _scalar(session: Session, query: str, key: int | str | bytes) -> int | None:
    found = session.execute(text(query), {"key": key}, execution_options=ACROSS).scalar_one()
    return None if found is None else int(found)
