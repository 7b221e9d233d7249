"""Joining: a page of Cal.com's bookings laid beside our appointments (S5.2).

By alias first, then by the booking it was rescheduled from, so that a chain is one appointment
whichever page shows which end of it. Plain rows, no ORM objects: most of them agree and are
forgotten at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, exists, select, tuple_
from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking, BookingStatus
from webapp.models.appointment import Appointment, AppointmentStatus, BookingAlias
from webapp.models.intent import UNFINISHED, Intent
from webapp.models.service import Service
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.reconcile import OURS_BY_CLASS, View

CHUNK = 500
"""Rows of ours held at once; a page's stretch of time may hold more where theirs are missing."""


class Ours(NamedTuple):
    """What a run needs of an appointment; the order is that of `_COLUMNS`."""

    id: int
    uid: str | None
    status: AppointmentStatus
    starts_at: datetime
    state: SyncState
    is_flagged: bool
    base_starts_at: datetime | None
    base_ends_at: datetime | None
    base_status: AppointmentStatus | None
    base_uid: str | None
    base_remote_updated_at: datetime | None
    verified_at: datetime | None
    initiated_at: datetime | None
    written_at: datetime | None
    absent_since: datetime | None
    event_type_id: int | None
    is_on_its_way: bool

    @property
    def view(self) -> View:
        return View(self.starts_at, OURS_BY_CLASS[self.status])

    @property
    def base(self) -> View:
        known = None if self.base_status is None else OURS_BY_CLASS[self.base_status]
        return View(self.base_starts_at, known, self.base_ends_at)

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """As `verify.fingerprint_of`: it changes with every wish and every push."""
        return (self.uid, self.status, self.starts_at, self.initiated_at, self.written_at)

    def has_base(self, booking: Booking) -> bool:
        """Whether the base says what the booking says: then agreement writes nothing."""
        return (
            self.base_uid == booking.uid
            and self.base_starts_at == booking.start
            and self.base_ends_at == booking.end
            and self.base_remote_updated_at == booking.updated_at
        )


@dataclass(slots=True)
class Links:
    """What a page shows of one appointment's chain; `fresh` are uids not written down yet."""

    bookings: dict[str, Booking] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)

    def newest(self, current: str | None) -> "Booking | Doubt | None":
        """The booking that counts; None: only earlier links are here; DOUBT: a direct look has to
        tell, for the chain goes on outside the page. `current` is the uid we know it by."""
        if self.fresh:
            return self._last_of([self.bookings[uid] for uid in self.fresh])
        if current is None:
            living = [each for each in self.bookings.values() if each.status in LIVING]
            return self._last_of(living) if living else None
        known = self.bookings.get(current)
        return None if known is None else self._last_of([known])

    def _last_of(self, bookings: list[Booking]) -> "Booking | Doubt":
        """Follows successors as far as the page shows them."""
        last, seen = bookings[-1], set[str]()
        while last.rescheduled_to_uid and last.uid not in seen:
            seen.add(last.uid)
            following = self.bookings.get(last.rescheduled_to_uid)
            if following is None:
                return DOUBT
            last = following
        return last


class Doubt(Enum):
    """What a page can't tell."""

    DOUBT = auto()


DOUBT = Doubt.DOUBT
LIVING = frozenset({BookingStatus.ACCEPTED, BookingStatus.PENDING})


@dataclass(slots=True)
class Joined:
    """A page's bookings by whose they are."""

    links: dict[int, Links] = field(default_factory=dict)
    unclaimed: list[Booking] = field(default_factory=list)


def join_page(session: Session, bookings: Sequence[Booking], host: str) -> Joined:
    """Say whose each booking is, in one query."""
    wanted = {booking.uid for booking in bookings}
    wanted |= {uid for booking in bookings if (uid := booking.rescheduled_from_uid)}
    holders = _holders(session, wanted, host)
    joined = Joined()
    for booking in sorted(bookings, key=_age):
        holder = holders.get(booking.uid)
        is_fresh = holder is None
        holder = holder or holders.get(booking.rescheduled_from_uid or "")
        if holder is None:
            joined.unclaimed.append(booking)
            continue
        links = joined.links.setdefault(holder, Links())
        links.bookings[booking.uid] = booking
        if is_fresh:
            holders[booking.uid] = holder
            links.fresh.append(booking.uid)
    return joined


def _age(booking: Booking) -> float:
    """A successor is made after what it replaces, so chains come in order."""
    return booking.created_at.timestamp() if booking.created_at else 0.0


def _holders(session: Session, uids: set[str], host: str) -> dict[str, int]:
    rows = session.execute(
        select(BookingAlias.uid, BookingAlias.appointment_id).where(
            BookingAlias.company_id == require_company_id(),
            BookingAlias.calcom_host == host,
            BookingAlias.uid.in_(uids),
        )
    )
    return dict(rows.all())


def ours_between(session: Session, since: datetime, until: datetime | None) -> Iterator[list[Ours]]:
    """The company's appointments that start in [since, until), in chunks, soonest first."""
    after: tuple[datetime, int] | None = None
    while True:
        query = _query().where(Appointment.starts_at >= since)
        if until is not None:
            query = query.where(Appointment.starts_at < until)
        if after is not None:
            query = query.where(tuple_(Appointment.starts_at, Appointment.id) > after)
        query = query.order_by(Appointment.starts_at, Appointment.id).limit(CHUNK)
        chunk = [_ours(row) for row in session.execute(query)]
        if chunk:
            yield chunk
        if len(chunk) < CHUNK:
            return
        after = (chunk[-1].starts_at, chunk[-1].id)


def ours_by_id(session: Session, ids: Sequence[int]) -> list[Ours]:
    """These appointments, wherever they start."""
    if not ids:
        return []
    return [_ours(row) for row in session.execute(_query().where(Appointment.id.in_(ids)))]


def _ours(row: Row[Any]) -> Ours:
    return Ours._make(row)


def _query() -> Any:
    return (
        select(*_COLUMNS)
        .select_from(Appointment)
        .join(
            Service,
            (Service.company_id == Appointment.company_id) & (Service.id == Appointment.service_id),
        )
        .where(Appointment.company_id == require_company_id())
    )


def is_on_its_way() -> ColumnElement[bool]:
    """A change of ours is still being carried to Cal.com (S5.7)."""
    return exists().where(
        Intent.company_id == Appointment.company_id,
        Intent.appointment_id == Appointment.id,
        Intent.status.in_(UNFINISHED),
    )


_COLUMNS = (
    Appointment.id,
    Appointment.calcom_v2_booking_id,
    Appointment.status,
    Appointment.starts_at,
    Appointment.calcom_sync_status,
    Appointment.requires_manual_review,
    Appointment.base_starts_at,
    Appointment.base_ends_at,
    Appointment.base_status,
    Appointment.base_uid,
    Appointment.base_remote_updated_at,
    Appointment.sync_verified_at,
    Appointment.sync_initiated_at,
    Appointment.remote_written_at,
    Appointment.absence_first_seen_at,
    Service.calcom_event_type_id,
    is_on_its_way(),
)
