"""Rehearsal: what a delivery would change if it came now. Everything is done, looked at, and taken
back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from webapp.models.appointment import Appointment
from webapp.models.customer import Customer
from webapp.models.history import EventKind, HistoryEvent
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.effects import Effect

SHOWN: tuple[InstrumentedAttribute[Any], ...] = (
    Appointment.starts_at,
    Appointment.ends_at,
    Appointment.status,
    Appointment.guests,
    Appointment.cancellation_reason,
    Appointment.calcom_v2_booking_id,
    Appointment.calcom_sync_status,
    Appointment.requires_manual_review,
    Appointment.sync_error_code,
    Appointment.next_verification_at,
)


class FieldChange(NamedTuple):
    """A column of the appointment, before and after."""

    field: str
    before: Any
    after: Any


class Whose(NamedTuple):
    """For whom an appointment would be made, and of what."""

    customer: str
    is_new_customer: bool
    service: str


class Entry(NamedTuple):
    """What would be written into the history."""

    kind: EventKind
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would come of a delivery; `made_for`: it would make an appointment."""

    effect: Effect
    changes: tuple[FieldChange, ...] = ()
    entries: tuple[Entry, ...] = ()
    made_for: Whose | None = None
    was_read: bool = False
    """Whether Cal.com was asked for it."""

    @property
    def changes_nothing(self) -> bool:
        return not self.changes and not self.entries


def rehearse_effect(
    session: Session, act: Callable[[], Effect], *, was_read: bool = False
) -> Rehearsal:
    """Act inside a savepoint, note what changed, and roll it back."""
    newest = session.scalar(
        select(func.max(HistoryEvent.id)).where(HistoryEvent.company_id == require_company_id())
    )
    trial = session.begin_nested()
    effect = act()
    session.flush()
    after = _columns(session, effect.appointment_id)
    entries = _entries(session, effect.appointment_id, newest or 0)
    people = _people(session, effect.appointment_id)
    trial.rollback()
    before = _columns(session, effect.appointment_id)
    changes = tuple(
        FieldChange(name, before.get(name), value)
        for name, value in after.items()
        if before.get(name) != value
    )
    made_for = None
    if people is not None and not before:
        is_new = session.get(Customer, (require_company_id(), people.id)) is None
        made_for = Whose(people.customer, is_new, people.service)
    return Rehearsal(effect, changes, entries, made_for=made_for, was_read=was_read)


def _people(session: Session, appointment_id: int | None) -> Any:
    """The customer's `id` and name, and the service's; None where there is no appointment."""
    return session.execute(
        select(Customer.id, Customer.name.label("customer"), Service.name.label("service"))
        .select_from(Appointment)
        .join(
            Customer,
            (Customer.company_id == Appointment.company_id)
            & (Customer.id == Appointment.customer_id),
        )
        .join(
            Service,
            (Service.company_id == Appointment.company_id) & (Service.id == Appointment.service_id),
        )
        .where(Appointment.company_id == require_company_id(), Appointment.id == appointment_id)
    ).one_or_none()


def _columns(session: Session, appointment_id: int | None) -> dict[str, Any]:
    """The appointment as the database has it; empty where there is none."""
    row = session.execute(
        select(*SHOWN).where(
            Appointment.company_id == require_company_id(), Appointment.id == appointment_id
        )
    ).one_or_none()
    return {} if row is None else dict(row._mapping)


def _entries(session: Session, appointment_id: int | None, newest: int) -> tuple[Entry, ...]:
    rows = session.execute(
        select(HistoryEvent.kind, HistoryEvent.data)
        .where(
            HistoryEvent.company_id == require_company_id(),
            HistoryEvent.appointment_id == appointment_id,
            HistoryEvent.id > newest,
        )
        .order_by(HistoryEvent.id)
    )
    return tuple(Entry(row.kind, row.data) for row in rows)
