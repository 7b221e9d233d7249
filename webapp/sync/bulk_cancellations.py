"""Cancelling many appointments: what it would do, freezing them, and one of them at a time. The
rest is the machinery of bulk actions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    distinct,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session

from webapp.models.appointment import LIVE, Appointment, AppointmentStatus, Origin
from webapp.models.bulk import BulkItem, BulkKind, ItemStatus, count_items
from webapp.models.customer import Customer
from webapp.models.intent import Intent, IntentStatus
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.sync.booking import BookingRefused, cancel_appointment
from webapp.sync.bulk import close_bulk, open_bulk
from webapp.sync.settlement import Started

Chosen = Select[Appointment]
"""Appointments of the company: a list's filters, or a selection; unsorted."""


@dataclass(frozen=True, slots=True)
class CancellationPreview:
    """What would happen: counts of appointments, and of customers whom Cal.com would mail."""

    matching: int
    cancellable: int
    """Still to come about; the others are left alone."""
    taken: int
    """As many as one bulk action takes on, the soonest first."""
    mails: int
    mailed_customers: int
    unreachable: int
    """Customers without an e-mail address: Cal.com can't mail them."""
    unsent: int
    """Appointments that never reached Cal.com: nobody is mailed about these."""


def preview_cancellations(
    session: Session, chosen: Chosen, *, now: datetime, most: int
) -> CancellationPreview:
    """Count what would be done; nothing is written."""
    cancellable = chosen.where(*_can_be_cancelled(now))
    soonest = _soonest(cancellable, most).subquery()
    is_unsent = ~_may_have_reached_calcom()
    is_mailed = and_(Customer.email.is_not(None), ~is_unsent)
    row = session.execute(
        select(
            func.count(),
            func.count().filter(is_mailed),
            func.count(distinct(Customer.id)).filter(is_mailed),
            func.count(distinct(Customer.id)).filter(Customer.email.is_(None), ~is_unsent),
            func.count().filter(is_unsent),
        )
        .select_from(Appointment)
        .join(Appointment.customer)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.id.in_(select(soonest.c.id)),
        )
    ).one()
    return CancellationPreview(_count(session, chosen), _count(session, cancellable), *row)


def start_cancellations(
    session: Session,
    chosen: Chosen,
    *,
    now: datetime,
    most: int,
    user_id: int,
    reason: str,
    scope: dict[str, Any],
) -> int | None:
    """Freeze the appointments and let the work begin; None where none can be cancelled."""
    bulk = open_bulk(session, BulkKind.CANCEL, now=now, user_id=user_id, note=reason, scope=scope)
    rows = _soonest(chosen.where(*_can_be_cancelled(now)), most).subquery()
    columns = ["company_id", "bulk_action_id", "appointment_id", "status"]
    items = select(
        literal(require_company_id()),
        literal(bulk.id),
        rows.c.id,
        literal(ItemStatus.QUEUED.value),
    ).order_by(rows.c.starts_at, rows.c.id)
    session.execute(insert(BulkItem).from_select(columns, items))
    return close_bulk(session, bulk, sum(count_items(session, bulk.id).values()))


def cancel_one(
    session: Session, appointment_id: int, *, reason: str, now: datetime, user_id: int
) -> Started:
    """Cancel like a person does, but behind what people wait for; raises BookingRefused."""
    appointment = session.get(Appointment, (require_company_id(), appointment_id))
    if appointment is None:
        raise BookingRefused("not_live")
    change = cancel_appointment(
        session, appointment, reason=reason, origin=Origin.ADMIN, now=now, user_id=user_id
    )
    if change.intent_id is not None:
        intent = session.get_one(Intent, (appointment.company_id, change.intent_id))
        intent.is_interactive = False
    return Started(appointment_id, intent_id=change.intent_id)


def may_cancel(session: Session, user_id: int) -> bool:
    """Whether this person may cancel appointments now."""
    user = session.get(User, (require_company_id(), user_id), populate_existing=True)
    return user is not None and user.is_enabled and user.may_act


def is_cancelled_on_both() -> ColumnElement[bool]:
    """Of a started item's appointment whose push has ended."""
    return and_(
        Appointment.status == AppointmentStatus.CANCELLED,
        Appointment.calcom_sync_status == SyncState.SYNCED,
        ~Appointment.requires_manual_review,
    )


def _can_be_cancelled(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return Appointment.status.in_(LIVE), Appointment.starts_at > now


def _may_have_reached_calcom() -> ColumnElement[bool]:
    """The same as `intents.is_unsent` denies, for thousands at once."""
    return or_(
        Appointment.calcom_v2_booking_id.is_not(None),
        exists().where(
            Intent.company_id == Appointment.company_id,
            Intent.appointment_id == Appointment.id,
            or_(Intent.status == IntentStatus.IN_FLIGHT, Intent.has_unknown_outcome),
        ),
        ~exists().where(
            Intent.company_id == Appointment.company_id, Intent.appointment_id == Appointment.id
        ),
    )


def _soonest(cancellable: Chosen, most: int) -> Select[int, datetime]:
    query = cancellable.with_only_columns(Appointment.id, Appointment.starts_at)
    return query.order_by(Appointment.starts_at, Appointment.id).limit(most)


def _count(session: Session, query: Chosen) -> int:
    ids = query.with_only_columns(Appointment.id).subquery()
    return session.scalar(select(func.count()).select_from(ids)) or 0
