"""A company's webhook door: whose it is, what opens it, and storing what was let in.

One statement stores a delivery: it names the company, makes sure that the door is still as it was
when the signature was checked, and inserts under row-level security, all in one round trip. What is
remembered of a door between requests can therefore never let in what the database would not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from webapp.models.company import Company, Secret
from webapp.models.tenancy import require_company_id
from webapp.models.vault import Vault, VaultError

_SEALED = (Secret.WEBHOOK_SECRET, Secret.WEBHOOK_SECRET_PREVIOUS)

# The company is told before anything behind a policy is touched: LATERAL makes it so in any plan.
_STORE = text(
    """
    WITH told AS MATERIALIZED (
        SELECT set_config('app.company_id', CAST(:company_id AS text), true) AS company_id),
    door AS MATERIALIZED (
        SELECT open.id FROM told CROSS JOIN LATERAL (
            SELECT c.id FROM companies c
             WHERE c.id = CAST(told.company_id AS bigint) AND c.webhook_token = :token
               AND c.calcom_webhook_secret IS NOT DISTINCT FROM :sealed
               AND c.calcom_webhook_secret_previous IS NOT DISTINCT FROM :sealed_previous
            OFFSET 0) open),
    stored AS (
        INSERT INTO deliveries (company_id, received_at, trigger, booking_uid, old_booking_uid,
               sent_at, body, body_hash, status, due_at, attempt_count, run_again_count)
        SELECT door.id, :now, :trigger, :uid, :old_uid, :sent_at, :body, :body_hash,
               'received', :now, 0, 0
          FROM door ON CONFLICT (company_id, body_hash) DO NOTHING RETURNING id)
    SELECT EXISTS (SELECT 1 FROM door) AS is_open, (SELECT id FROM stored) AS delivery_id
    """
).bindparams(bindparam("body", type_=JSONB()))


@dataclass(frozen=True, slots=True)
class Door:
    """What opens a company's webhook address: the secrets, and how they are stored."""

    company_id: int
    token: str
    sealed: tuple[str | None, ...]
    secrets: tuple[str, ...]


class Stored(NamedTuple):
    """`delivery_id` is None where these very bytes are here already."""

    delivery_id: int | None


def read_door(session: Session, vault: Vault) -> tuple[Door, Sequence[Secret]]:
    """The door of the company acted for, and which of its secrets cannot be opened."""
    company = session.get_one(Company, require_company_id())
    secrets, damaged = [], []
    for which in _SEALED:
        try:
            secret = company.secret(which, vault)
        except VaultError:
            damaged.append(which)
        else:
            secrets += [secret] if secret else []
    sealed = tuple(getattr(company, which.value) for which in _SEALED)
    return Door(company.id, company.webhook_token, sealed, tuple(secrets)), damaged


def store_delivery(engine: Engine, door: Door, *, now: datetime, **columns: Any) -> Stored | None:
    """Store what was signed with one of the door's secrets, and commit; None: the door changed.

    `columns`: trigger, uid, old_uid, sent_at, body, body_hash.
    """
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        return _store(connection, door, {"now": now, **columns})


def _store(connection: Connection, door: Door, columns: dict[str, Any]) -> Stored | None:
    sealed, sealed_previous = door.sealed
    row = connection.execute(
        _STORE,
        {
            **columns,
            "company_id": door.company_id,
            "token": door.token,
            "sealed": sealed,
            "sealed_previous": sealed_previous,
        },
    ).one()
    return Stored(row.delivery_id) if row.is_open else None
