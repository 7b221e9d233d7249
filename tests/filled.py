"""A calendar that is full on both sides and agrees, made in bulk: for runs over many."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any

from sqlalchemy import insert

from tests.desk import Cal
from tests.factories import Tenant
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import Appointment, AppointmentStatus, BookingAlias, Origin
from webapp.models.company import Company
from webapp.models.discrepancy import DiscrepancyType
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sync.verdict import Branch

AT_ONCE = 1000
SAME_START = 4
"""Several people work side by side, so that starts have ties."""
AGE = timedelta(days=10)


@dataclass(frozen=True)
class Pair:
    """An appointment and its booking."""

    id: int
    uid: str
    starts_at: datetime


def fill_calendar(
    company: Tenant, cal: Cal, count: int, *, first: datetime | None = None
) -> list[Pair]:
    """`count` appointments, half an hour each, from tomorrow on; call it once per company."""
    first = first or (clock.now() + timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    pairs: list[Pair] = []
    for since in range(0, count, AT_ONCE):
        numbers = range(since, min(since + AT_ONCE, count))
        pairs += _fill(company, cal, [(n, first) for n in numbers])
    return pairs


def _fill(company: Tenant, cal: Cal, places: Iterable[tuple[int, datetime]]) -> list[Pair]:
    made_at = (clock.now() - AGE).replace(microsecond=0)
    rows: list[dict[str, Any]] = []
    for number, first in places:
        starts_at = first + timedelta(minutes=30) * (number // SAME_START)
        rows.append(_row(company, starts_at, made_at))
    cal.put("bookings", {"bookings": [_booking(company, row, made_at) for row in rows]})
    with as_company(company.id):
        ids = list(
            db.session.scalars(
                insert(Appointment).returning(Appointment.id, sort_by_parameter_order=True), rows
            )
        )
        host = db.session.get_one(Company, company.id).calcom_host
        db.session.execute(
            insert(BookingAlias),
            [
                {
                    "company_id": company.id,
                    "appointment_id": id_,
                    "calcom_host": host,
                    "uid": row["base_uid"],
                    "first_seen_at": made_at,
                }
                for id_, row in zip(ids, rows, strict=True)
            ],
        )
        db.session.commit()
    return [
        Pair(id_, row["base_uid"], row["starts_at"]) for id_, row in zip(ids, rows, strict=True)
    ]


def _row(company: Tenant, starts_at: datetime, made_at: datetime) -> dict[str, Any]:
    key = uuid.uuid4()
    ends_at = starts_at + timedelta(minutes=30)
    return {
        "company_id": company.id,
        "customer_id": company.customer_id,
        "service_id": company.service_id,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "status": AppointmentStatus.CONFIRMED,
        "created_at": made_at,
        "created_by_origin": Origin.ADMIN,
        "calcom_v2_booking_id": key.hex[:22],
        "calcom_sync_status": SyncState.SYNCED,
        "sync_verified_at": made_at,
        "sync_origin": Origin.ADMIN,
        "sync_initiated_at": made_at,
        "remote_written_at": made_at,
        "base_starts_at": starts_at,
        "base_ends_at": ends_at,
        "base_status": AppointmentStatus.CONFIRMED,
        "base_uid": key.hex[:22],
        "base_remote_updated_at": made_at,
        "sync_key": key,
    }


def _booking(company: Tenant, row: dict[str, Any], made_at: datetime) -> dict[str, Any]:
    return {
        "eventTypeId": company.event_type_id,
        "start": row["starts_at"].isoformat(),
        "uid": row["base_uid"],
        "status": "accepted",
        "createdAt": made_at.isoformat(),
        "updatedAt": made_at.isoformat(),
        "attendee": {"name": "Erika Beispiel", "email": company.customer_email},
        "metadata": {"lockstep": str(row["sync_key"])},
    }


def disturb(
    company: Tenant, cal: Cal, pairs: Sequence[Pair]
) -> dict[int, tuple[DiscrepancyType, Branch]]:
    """Part the sides of these, in every way that exists, one after the other; what of each is to
    be found, by appointment."""
    expected = {}
    for pair, (branch, part) in zip(pairs, cycle(_WAYS.items()), strict=False):
        part(company, cal, pair)
        is_gone = branch is Branch.VANISHED_THERE
        type_ = DiscrepancyType.ORPHANED_LOCAL if is_gone else DiscrepancyType.DATA_MISMATCH
        expected[pair.id] = (type_, branch)
    return expected


def write(company: Tenant, appointment_id: int, **columns: Any) -> None:
    """Change our side behind Lockstep's back."""
    with as_company(company.id):
        row = db.session.get_one(Appointment, (company.id, appointment_id))
        for name, value in columns.items():
            setattr(row, name, value)
        db.session.commit()


def move_there(_company: Tenant, cal: Cal, pair: Pair) -> None:
    """To a day of its own, long after the calendar's end."""
    at = pair.starts_at + timedelta(days=1000 + pair.id)
    cal.change(pair.uid, "reschedule", start=at.isoformat())


def _move_here(company: Tenant, _cal: Cal, pair: Pair) -> None:
    write(company, pair.id, starts_at=pair.starts_at - timedelta(days=1))


def _move_on_both(company: Tenant, cal: Cal, pair: Pair) -> None:
    move_there(company, cal, pair)
    _move_here(company, cal, pair)


def _cancel_there(_company: Tenant, cal: Cal, pair: Pair) -> None:
    cal.change(pair.uid, "cancel", reason="x")


def _vanish_there(_company: Tenant, cal: Cal, pair: Pair) -> None:
    cal.vanish(pair.uid)


def _here(**columns: Any) -> Callable[[Tenant, Cal, Pair], None]:
    return lambda company, _cal, pair: write(company, pair.id, **columns)


def _refill(status: str, **columns: Any) -> Callable[[Tenant, Cal, Pair], None]:
    """The same booking in another status over there."""

    def part(company: Tenant, cal: Cal, pair: Pair) -> None:
        with as_company(company.id):
            row = db.session.get_one(Appointment, (company.id, pair.id))
            made_at = row.created_at
            key = str(row.sync_key)
            db.session.rollback()
        booking = {
            "eventTypeId": company.event_type_id,
            "start": pair.starts_at.isoformat(),
            "uid": pair.uid,
            "status": status,
            "createdAt": made_at.isoformat(),
            "updatedAt": made_at.isoformat(),
            "attendee": {"name": "Erika Beispiel", "email": company.customer_email},
            "metadata": {"lockstep": key},
        }
        cal.vanish(pair.uid)
        cal.put("bookings", {"bookings": [booking]})
        if columns:
            write(company, pair.id, **columns)

    return part


_WAYS: dict[Branch, Callable[[Tenant, Cal, Pair], None]] = {
    Branch.MOVED_THERE: move_there,
    Branch.MOVED_HERE: _move_here,
    Branch.MOVED_ON_BOTH: _move_on_both,
    Branch.CANCELLED_THERE: _cancel_there,
    Branch.REJECTED_THERE: _refill("rejected"),
    Branch.CANCELLED_HERE: _here(status="cancelled"),
    Branch.REVIVED_THERE: _here(status="cancelled", base_status="cancelled"),
    Branch.REVIVED_HERE: _refill("cancelled", base_status="cancelled"),
    Branch.CONFIRMED_THERE: _here(status="pending", base_status="pending"),
    Branch.UNCONFIRMED_HERE: _here(status="pending"),
    Branch.UNCONFIRMED_THERE: _refill("pending"),
    Branch.CONFIRMED_HERE: _refill("pending", base_status="pending"),
    Branch.NEVER_AGREED: _here(status="pending", base_status=None),
    Branch.VANISHED_THERE: _vanish_there,
}
