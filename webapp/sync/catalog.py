"""Services and the Cal.com event types they are booked as.

Comparing a company's services (S8), in three steps like every look at Cal.com:

1. take     due, and nobody else at it; a lease by moving the due instant
2. read     no transaction open: `/me`, one listing, a GET only for what the listing doesn't show
3. record   what was read, per service; the audit log says where a drift began and ended
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import NotFound, Unauthorised
from webapp.calcom.payloads import EventType
from webapp.models.audit import record_audit
from webapp.models.company import Company
from webapp.models.service import EventTypeState, Service
from webapp.models.tenancy import require_company_id
from webapp.sync.drift import drift_of, has_drifted, is_bindable, keep

COMPARISON_LEASE = timedelta(seconds=60)
"""After this a comparison whose worker died is due again."""

HTTP_FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Reading:
    """What Cal.com said of one event type; PRESENT comes with the event type itself."""

    state: EventTypeState
    event_type: EventType | None = None


def request_comparison(session: Session, *, now: datetime) -> bool:
    """Let the company's services be compared with Cal.com; False where that is due already."""
    asked = session.scalar(
        update(Company)
        .where(Company.id == require_company_id(), Company.services_due_at.is_(None))
        .values(services_due_at=now)
        .returning(Company.id)
    )
    return asked is not None


def take_comparison(session: Session, *, now: datetime) -> list[int] | None:
    """The event types to look for, and a lease on the work; None where it isn't due."""
    taken = session.scalar(
        update(Company)
        .where(Company.id == require_company_id(), Company.services_due_at <= now)
        .values(services_due_at=now + COMPARISON_LEASE)
        .returning(Company.id)
    )
    if taken is None:
        return None
    return list(
        session.scalars(
            select(Service.calcom_event_type_id).where(
                Service.company_id == require_company_id(),
                Service.calcom_event_type_id.is_not(None),
            )
        )
    )


def read_event_types(wanted: Collection[int], client: CalcomClient) -> dict[int, Reading]:
    """What Cal.com says of these event types; raises CalcomError where it can't be asked.

    A wrong key is answered with an empty listing, so `/me` comes first; and an empty or cut
    listing proves nothing gone, so what it doesn't show is asked for by id.
    """
    client.me()
    listed = {each.id: each for each in client.list_event_types()}
    return {
        wanted_id: Reading(EventTypeState.PRESENT, listed[wanted_id])
        if wanted_id in listed
        else _read_one(wanted_id, client)
        for wanted_id in wanted
    }


def record_comparison(session: Session, readings: Mapping[int, Reading], *, now: datetime) -> int:
    """Write down what was read; returns how many services now need somebody's eye.

    A service whose event type was changed meanwhile is left for the next comparison.
    """
    rows = session.scalars(
        select(Service)
        .where(
            Service.company_id == require_company_id(),
            Service.calcom_event_type_id.in_(list(readings)),
        )
        .order_by(Service.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    troubled = 0
    for service in rows:
        assert service.calcom_event_type_id is not None  # noqa: S101 - narrows the type
        troubled += record_reading(session, service, readings[service.calcom_event_type_id], now)
    end_comparison(session, now=now, error_code=None)
    return troubled


def end_comparison(session: Session, *, now: datetime, error_code: str | None) -> None:
    """Nothing is due any more; `error_code` says why Cal.com couldn't be asked."""
    company = session.get_one(Company, require_company_id(), populate_existing=True)
    company.services_due_at = None
    company.services_error_code = error_code
    if error_code is None:
        company.services_compared_at = now


def put_off_comparison(session: Session, *, until: datetime) -> None:
    """Nothing may be sent now: it is due again later."""
    session.get_one(Company, require_company_id()).services_due_at = until


def needs_attention(service: Service) -> bool:
    """Whether the two differ in something that can be put right, or can't be booked together."""
    if service.event_type_state in (EventTypeState.GONE, EventTypeState.FOREIGN):
        return True
    return not is_bindable(service.event_type_seen) or has_drifted(drift_of(service))


def record_reading(session: Session, service: Service, reading: Reading, now: datetime) -> bool:
    """Keep what Cal.com says of a (locked) service's event type; True where it needs an eye."""
    seen = reading.event_type
    service.event_type_state = reading.state
    service.event_type_seen = None if seen is None else keep(seen)
    service.event_type_checked_at = now
    return note_drift(session, service, now)


def note_drift(session: Session, service: Service, now: datetime) -> bool:
    """Whether the two differ as far as is known; the audit log says when that began and ended."""
    is_troubled = needs_attention(service)
    if is_troubled == (service.drifts_since is not None):
        return is_troubled
    service.drifts_since = now if is_troubled else None
    record_audit(
        session,
        "service.drifted" if is_troubled else "service.in_step",
        f"service:{service.id}",
        at=now,
        event_type=service.event_type_state.value,
        fields=[each.field for each in drift_of(service) if each.is_writable],
    )
    return is_troubled


def _read_one(event_type_id: int, client: CalcomClient) -> Reading:
    """Team event types aren't in the user's listing; a 403 after `/me` is about this one only."""
    try:
        return Reading(EventTypeState.PRESENT, client.get_event_type(event_type_id))
    except NotFound:
        return Reading(EventTypeState.GONE)
    except Unauthorised as error:
        if error.status != HTTP_FORBIDDEN:
            raise
        return Reading(EventTypeState.FOREIGN)
