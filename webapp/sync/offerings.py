"""What a company offers: services made, changed, and made of event types that are there already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.calcom.payloads import EventType
from webapp.models.audit import Actor, record_audit
from webapp.models.company import Company
from webapp.models.crossing import is_event_type_claimed_elsewhere
from webapp.models.service import EventTypeState, Service, ServiceSync
from webapp.models.tenancy import require_company_id
from webapp.sync.catalog import note_drift
from webapp.sync.drift import drift_of, keep, recall
from webapp.sync.onboarding import InvalidValue

LONGEST_MINUTES = 1440


class EventTypeTaken(InvalidValue):
    """Another service holds this event type; `is_ours`: one of this company's own."""

    def __init__(self, *, is_ours: bool) -> None:
        whose = "another service" if is_ours else "another company"
        super().__init__(f"{whose} offers this event type")
        self.is_ours = is_ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a service says; minutes, and hundredths of the currency."""

    name: str
    duration_minutes: int
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    price_cents: int = 0
    currency: str = "EUR"
    is_offered: bool = True
    event_type_id: int | None = None


def create_service(
    session: Session,
    *,
    name: str,
    duration_minutes: int,
    price_cents: int = 0,
    currency: str = "EUR",
    event_type_id: int | None,
    now: datetime,
) -> Service:
    """Add a service; without an event type it can be offered, but not booked on Cal.com.

    Raises InvalidValue where another service, or another company on the same host, has the event
    type.
    """
    offer = Offer(
        name=name,
        duration_minutes=duration_minutes,
        price_cents=price_cents,
        currency=currency,
        event_type_id=event_type_id,
    )
    return add_service(session, offer, seen=None, now=now)


def add_service(
    session: Session,
    offer: Offer,
    *,
    seen: EventType | None,
    user_id: int | None = None,
    now: datetime,
) -> Service:
    """Add a service; `seen`: its event type as just read. Raises EventTypeTaken."""
    service = Service(created_at=now)
    _write(service, offer)
    _bind(session, service, offer.event_type_id, seen, now)
    session.add(service)
    _flush(session)
    note_drift(session, service, now)
    _audit(session, "service.created", service, user_id, now)
    return service


def change_service(
    session: Session,
    service: Service,
    offer: Offer,
    *,
    seen: EventType | None,
    user_id: int | None,
    now: datetime,
) -> None:
    """Write what was edited. Another event type begins anew: nothing is known of it but `seen`, and
    a push that is on its way to the old one counts for nothing. Raises EventTypeTaken."""
    before = _facts(service)
    _write(service, offer)
    if offer.event_type_id != service.calcom_event_type_id:
        _bind(session, service, offer.event_type_id, seen, now)
    _flush(session)
    note_drift(session, service, now)
    changed = [name for name, value in _facts(service).items() if before[name] != value]
    if changed:
        _audit(session, "service.changed", service, user_id, now, fields=changed)


def take_theirs(
    session: Session,
    service: Service,
    field: str | None,
    *,
    user_id: int | None,
    now: datetime,
) -> list[str]:
    """Let a service say what its event type says, in one field or in all that differ; returns the
    fields that were written."""
    taken = []
    for each in drift_of(service):
        if field in (None, each.field):
            setattr(service, each.field, each.theirs)
            taken.append(each.field)
    if taken:
        session.flush()
        note_drift(session, service, now)
        _audit(session, "service.took_theirs", service, user_id, now, fields=taken)
    return taken


def offer_of(event_type: EventType) -> Offer:
    """What a service says that is made of an event type."""
    return Offer(
        name=event_type.title.strip() or f"Event type {event_type.id}",
        duration_minutes=min(max(event_type.length_minutes, 1), LONGEST_MINUTES),
        buffer_before_minutes=max(event_type.before_buffer_minutes, 0),
        buffer_after_minutes=max(event_type.after_buffer_minutes, 0),
        price_cents=max(round(event_type.price or 0), 0),
        currency=(event_type.currency or "EUR").upper()[:3],
        event_type_id=event_type.id,
    )


def add_from_event_types(
    session: Session, chosen: Sequence[EventType], *, user_id: int | None, now: datetime
) -> int:
    """A service for each event type that has none and can be booked; returns how many were made.

    Raises EventTypeTaken where another company has one of them.
    """
    held = services_by_event_type(session)
    fresh = [
        each
        for each in chosen
        if each.id not in held and not each.is_seated and not each.is_recurring
    ]
    for each in fresh:
        add_service(session, offer_of(each), seen=each, user_id=user_id, now=now)
    return len(fresh)


def services_by_event_type(session: Session) -> Mapping[int, Service]:
    """The company's services that are bound, by event type."""
    rows = session.scalars(
        select(Service).where(
            Service.company_id == require_company_id(), Service.calcom_event_type_id.is_not(None)
        )
    )
    return {row.calcom_event_type_id: row for row in rows if row.calcom_event_type_id is not None}


def seen_event_type(service: Service) -> EventType | None:
    """The service's event type as last read."""
    return recall(service.event_type_seen) if service.event_type_seen else None


def _write(service: Service, offer: Offer) -> None:
    service.name = offer.name
    service.duration_minutes = offer.duration_minutes
    service.buffer_before_minutes = offer.buffer_before_minutes
    service.buffer_after_minutes = offer.buffer_after_minutes
    service.price_cents, service.currency = offer.price_cents, offer.currency
    service.is_offered = offer.is_offered


def _bind(
    session: Session,
    service: Service,
    event_type_id: int | None,
    seen: EventType | None,
    now: datetime,
) -> None:
    company = session.get_one(Company, require_company_id())
    if event_type_id is not None:
        held = services_by_event_type(session).get(event_type_id)
        if held is not None and held is not service:
            raise EventTypeTaken(is_ours=True)
        if is_event_type_claimed_elsewhere(session, company.calcom_host, event_type_id, company.id):
            raise EventTypeTaken(is_ours=False)
    service.calcom_event_type_id = event_type_id
    service.calcom_host = None if event_type_id is None else company.calcom_host
    service.event_type_state = EventTypeState.UNKNOWN if seen is None else EventTypeState.PRESENT
    service.event_type_seen = None if seen is None else keep(seen)
    service.event_type_checked_at = None if seen is None else now
    service.drifts_since = None
    service.sync_status = ServiceSync.NEVER
    service.sync_error = service.sync_error_code = service.last_calcom_sync = None
    service.sync_due_at = service.sync_lease_until = None


def _flush(session: Session) -> None:
    """Two people binding one event type at once: the database lets one through."""
    try:
        with session.begin_nested():
            session.flush()
    except IntegrityError as error:
        if "uq_services_event_type" not in str(error.orig):
            raise
        raise EventTypeTaken(is_ours=False) from None


def _facts(service: Service) -> dict[str, object]:
    names = (*Offer.__dataclass_fields__,)
    columns = {"event_type_id": "calcom_event_type_id"}
    return {name: getattr(service, columns.get(name, name)) for name in names}


def _audit(
    session: Session,
    action: str,
    service: Service,
    user_id: int | None,
    now: datetime,
    **data: object,
) -> None:
    record_audit(
        session,
        action,
        f"service:{service.id}",
        at=now,
        actor=Actor.OPERATOR if user_id is None else Actor.USER,
        user_id=user_id,
        **data,
    )
