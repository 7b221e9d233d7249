"""Carrying a service to its event type on Cal.com (S8).

    never, synced, error ──a person asks──► pending ──► synced
                                              ▲  └────► error ──1, 5, 15 minutes──┐
                                              └───────────────────────────────────┘

What may still pass is tried again by itself; a refusal is final until somebody asks anew. PENDING
holds the button for as long as its lease: a job that was lost can't lock it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import CalcomError, NotFound, Rejected, Unauthorised, Unavailable
from webapp.calcom.payloads import EventType, EventTypeChanges
from webapp.models.audit import Actor, record_audit
from webapp.models.service import EventTypeState, Service, ServiceSync
from webapp.models.tenancy import require_company_id
from webapp.sync.catalog import HTTP_FORBIDDEN, Reading, read_event_types, record_reading

LEASE = timedelta(seconds=120)
"""How long PENDING holds the button, and a worker its turn."""

RETRIES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))

NOT_OURS = "NOT_OUR_EVENT_TYPE"
NOT_BINDABLE = "NOT_BINDABLE"


class Asked(StrEnum):
    """What became of a person's wish to synchronise."""

    STARTED = "started"
    RUNNING = "running"
    NO_EVENT_TYPE = "no_event_type"


@dataclass(frozen=True, slots=True)
class Turn:
    """One try at one service: plain values, for the call is made without a transaction."""

    service_id: int
    event_type_id: int
    name: str
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    attempt: int
    lease_until: datetime


def request_sync(session: Session, service_id: int, *, user_id: int | None, now: datetime) -> Asked:
    """Let the service be carried to Cal.com: pending, its error cleared, due at once."""
    mine = (Service.company_id == require_company_id(), Service.id == service_id)
    asked = session.scalar(
        update(Service)
        .where(
            *mine,
            Service.calcom_event_type_id.is_not(None),
            (Service.sync_status != ServiceSync.PENDING)
            | Service.sync_lease_until.is_(None)
            | (Service.sync_lease_until <= now),
        )
        .values(
            sync_status=ServiceSync.PENDING,
            sync_error=None,
            sync_error_code=None,
            sync_due_at=now,
            sync_lease_until=now + LEASE,
            sync_attempt_count=0,
        )
        .returning(Service.id)
    )
    if asked is None:
        bound = session.scalar(select(Service.calcom_event_type_id).where(*mine))
        return Asked.NO_EVENT_TYPE if bound is None else Asked.RUNNING
    record_audit(
        session,
        "service.sync_requested",
        f"service:{service_id}",
        at=now,
        actor=Actor.SYSTEM if user_id is None else Actor.USER,
        user_id=user_id,
    )
    return Asked.STARTED


def claim_sync(session: Session, service_id: int, *, now: datetime) -> Turn | None:
    """Take the service's turn, for as long as the lease; None where it isn't due."""
    until = now + LEASE
    row = session.execute(
        update(Service)
        .where(
            Service.company_id == require_company_id(),
            Service.id == service_id,
            Service.sync_due_at <= now,
            Service.calcom_event_type_id.is_not(None),
        )
        .values(
            sync_status=ServiceSync.PENDING,
            sync_due_at=until,
            sync_lease_until=until,
            sync_attempt_count=Service.sync_attempt_count + 1,
        )
        .returning(
            Service.id,
            Service.calcom_event_type_id,
            Service.name,
            Service.duration_minutes,
            Service.buffer_before_minutes,
            Service.buffer_after_minutes,
            Service.sync_attempt_count,
        )
    ).one_or_none()
    return None if row is None or row[1] is None else Turn(row[0], row[1], *row[2:], until)


def write_event_type(turn: Turn, client: CalcomClient) -> EventType:
    """Make the event type say what the service says; raises CalcomError.

    Whose it is and whether it can be booked at all is read first: a wrong key must not look like a
    missing event type, and of one with seats or a series nothing is written.
    """
    reading = read_event_types([turn.event_type_id], client)[turn.event_type_id]
    theirs = bookable(reading)
    return client.update_event_type(turn.event_type_id, **_changes(turn, theirs))


def bookable(reading: Reading) -> EventType:
    """The event type, if this account's services can be booked as it; raises Rejected, NotFound."""
    if reading.state is EventTypeState.GONE:
        raise NotFound("HTTP_404", "Cal.com has no event type with this id", 404)
    if reading.event_type is None:
        raise Rejected(NOT_OURS, "The event type belongs to another Cal.com account", 403)
    if reading.event_type.is_seated or reading.event_type.is_recurring:
        raise Rejected(NOT_BINDABLE, "The event type offers seats or recurs")
    return reading.event_type


def record_success(session: Session, turn: Turn, written: EventType, *, now: datetime) -> bool:
    """Both say the same now; False where the turn was lost meanwhile."""
    service = _mine(session, turn)
    if service is None:
        return False
    service.sync_status = ServiceSync.SYNCED
    service.sync_error = service.sync_error_code = None
    service.sync_due_at = service.sync_lease_until = None
    service.last_calcom_sync = now
    record_reading(session, service, Reading(EventTypeState.PRESENT, written), now)
    record_audit(session, "service.synced", f"service:{service.id}", at=now)
    return True


def record_failure(
    session: Session, turn: Turn, error: CalcomError, *, now: datetime
) -> timedelta | None:
    """Say why it failed; returns the pause until the next try, None where there is none."""
    pause = _pause_after(turn, error)
    service = _mine(session, turn)
    if service is None:
        return None
    fail(service, error.code, error.detail or error.message)
    service.sync_due_at = None if pause is None else now + pause
    record_audit(session, "service.sync_failed", f"service:{service.id}", at=now, code=error.code)
    return pause


def put_off(session: Session, turn: Turn, *, until: datetime) -> None:
    """Nothing was done and no try is used up: later again."""
    service = _mine(session, turn)
    if service is not None:
        service.sync_due_at = until
        service.sync_attempt_count = turn.attempt - 1


def fail(service: Service, code: str, reason: str) -> None:
    """Show an error, and let go of the button."""
    service.sync_status = ServiceSync.ERROR
    service.sync_error_code, service.sync_error = code, reason
    service.sync_lease_until = None


def _mine(session: Session, turn: Turn) -> Service | None:
    """The service, locked, while this turn holds it and its event type is still the same."""
    return session.scalar(
        select(Service)
        .where(
            Service.company_id == require_company_id(),
            Service.id == turn.service_id,
            Service.sync_due_at == turn.lease_until,
            Service.calcom_event_type_id == turn.event_type_id,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _pause_after(turn: Turn, error: CalcomError) -> timedelta | None:
    if not isinstance(error, Unavailable) or turn.attempt > len(RETRIES):
        return None
    return RETRIES[turn.attempt - 1]


def is_about_the_key(error: CalcomError) -> bool:
    """Whether the connection is broken; a 403 after `/me` is about this event type only."""
    return isinstance(error, Unauthorised) and error.status != HTTP_FORBIDDEN


def _changes(turn: Turn, theirs: EventType) -> EventTypeChanges:
    """Where the booker chooses among lengths and ours is one of them, the length stays."""
    changes = EventTypeChanges(
        title=turn.name,
        before_buffer_minutes=turn.buffer_before_minutes,
        after_buffer_minutes=turn.buffer_after_minutes,
    )
    if turn.duration_minutes not in theirs.lengths_minutes:
        changes["length_minutes"] = turn.duration_minutes
    return changes
