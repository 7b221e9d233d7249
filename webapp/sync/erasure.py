"""A customer's right to see what is kept, and to have it removed (S12.7).

Erased is what tells who they are: name, addresses, what was typed about them, what Cal.com, the
voice agent and the API sent along. Appointments, their history and the audit chain stay, under the
customer's number. Cal.com's own copy is Cal.com's: nothing here reaches it.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Delete,
    Select,
    Text,
    Update,
    cast,
    delete,
    false,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from webapp.models.appointment import LIVE, Appointment, BookingAlias
from webapp.models.audit import Actor, record_audit
from webapp.models.base import fold
from webapp.models.crossing import forget_words_of_customer
from webapp.models.customer import Customer
from webapp.models.delivery import Delivery, DeliveryStatus
from webapp.models.discrepancy import Discrepancy
from webapp.models.history import HistoryEvent
from webapp.models.idempotency_key import IdempotencyKey
from webapp.models.intent import UNFINISHED, Intent
from webapp.models.phone_answer import PhoneAnswer
from webapp.models.tenancy import require_company_id
from webapp.sync.mentions import forget_mentions, words_of

NOWHERE = "erased.invalid"
"""Mail to this domain can't arrive anywhere (RFC 2606)."""


class NotErasable(Exception):
    """The customer can't be erased yet; `reason` says why, `count` how many of it there are."""

    UPCOMING = "upcoming"
    UNDER_WAY = "under_way"

    def __init__(self, reason: str, count: int) -> None:
        super().__init__(f"{reason}: {count}")
        self.reason = reason
        self.count = count


@dataclass(frozen=True, slots=True)
class Erasure:
    """How many rows lost something."""

    appointments: int
    history: int
    deliveries: int
    phone_answers: int
    api_answers: int
    mentions: int


def export_customer(session: Session, customer_id: int) -> dict[str, Any] | None:
    """Everything that is kept about a customer, as JSON takes it (instants as ISO text); None where
    the company has no such customer."""
    customer = session.get(Customer, (require_company_id(), customer_id))
    if customer is None:
        return None
    return {
        "customer": _plain(customer, "company_id", "name_folded", "surname_folded", "email_folded"),
        "appointments": [
            _plain(row, "company_id", "sync_key", "sync_job_id")
            for row in _of(session, Appointment, Appointment.id, customer_id)
        ],
        "history": [
            _plain(row, "company_id")
            for row in _of(session, HistoryEvent, HistoryEvent.appointment_id, customer_id)
        ],
        "findings": [
            _plain(row, "company_id", "dismissed_facts")
            for row in _of(session, Discrepancy, Discrepancy.appointment_id, customer_id)
        ],
        "from_calcom": [
            {"received_at": row.received_at.isoformat(), "body": row.body}
            for row in session.scalars(
                select(Delivery).where(_is_about(customer)).order_by(Delivery.id)
            )
        ],
        "by_phone": [
            {"answered_at": row.answered_at.isoformat(), "answer": row.answer}
            for row in _of(session, PhoneAnswer, PhoneAnswer.appointment_id, customer_id)
        ],
    }


def erase_customer(
    session: Session, customer_id: int, *, actor: Actor, user_id: int | None, now: datetime
) -> Erasure | None:
    """Remove what tells who a customer is; None where the company has no such customer.

    Raises NotErasable while an appointment is still to come, or work about one under way. Doing it
    twice does nothing more.
    """
    customer = session.get(Customer, (require_company_id(), customer_id), with_for_update=True)
    if customer is None:
        return None
    _refuse_too_early(session, customer, now)
    # By the addresses, so before they are blanked.
    deliveries = _blank_deliveries(session, customer)
    api_answers = _forget_api_answers(session, customer)
    mentions = forget_mentions(session, words_of(customer))
    is_first = customer.erased_at is None
    _blank_customer(customer, now)
    session.flush()
    erasure = Erasure(
        appointments=_blank_appointments(session, customer_id),
        history=forget_words_of_customer(session, customer_id),
        deliveries=deliveries,
        phone_answers=_forget_phone_answers(session, customer_id),
        api_answers=api_answers,
        mentions=mentions,
    )
    _blank_what_was_typed(session, customer_id)
    if is_first:
        subject = f"customer:{customer_id}"
        record_audit(
            session,
            "customer.erased",
            subject,
            at=now,
            actor=actor,
            user_id=user_id,
            **asdict(erasure),
        )
    return erasure


def _refuse_too_early(session: Session, customer: Customer, now: datetime) -> None:
    customer_id = customer.id
    mine = (
        Appointment.company_id == require_company_id(),
        Appointment.customer_id == customer_id,
    )
    upcoming = _count(
        session,
        select(Appointment.id).where(
            *mine, Appointment.status.in_(LIVE), Appointment.ends_at > now
        ),
    )
    if upcoming:
        raise NotErasable(NotErasable.UPCOMING, upcoming)
    under_way = _count(
        session,
        select(Intent.id).where(
            Intent.company_id == require_company_id(),
            Intent.appointment_id.in_(_appointment_ids(customer_id)),
            Intent.status.in_(UNFINISHED),
        ),
    ) + _count(
        session,
        select(Delivery.id).where(_is_about(customer), Delivery.status == DeliveryStatus.RECEIVED),
    )
    if under_way:
        raise NotErasable(NotErasable.UNDER_WAY, under_way)


def _blank_customer(customer: Customer, now: datetime) -> None:
    number = f"{customer.id}"
    customer.name = f"#{number}"
    customer.name_folded = fold(customer.name)
    customer.email = f"{number}@{NOWHERE}"
    customer.email_folded = fold(customer.email)
    customer.phone = None
    customer.erased_at = customer.erased_at or now


def _blank_appointments(session: Session, customer_id: int) -> int:
    return _affected(
        session,
        update(Appointment)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.customer_id == customer_id,
        )
        .values(notes="", guests=[], cancellation_reason=None, sync_error_message=None),
    )


def _blank_deliveries(session: Session, customer: Customer) -> int:
    """Which trigger about which booking stays: it can't be worked off anew, and need not."""
    return _affected(
        session,
        update(Delivery)
        .where(_is_about(customer))
        .values(
            body=func.jsonb_build_object(
                "triggerEvent",
                Delivery.trigger,
                "payload",
                func.jsonb_build_object("uid", Delivery.booking_uid),
            )
        ),
    )


def _forget_phone_answers(session: Session, customer_id: int) -> int:
    return _affected(
        session,
        delete(PhoneAnswer).where(
            PhoneAnswer.company_id == require_company_id(),
            PhoneAnswer.appointment_id.in_(_appointment_ids(customer_id)),
        ),
    )


def _forget_api_answers(session: Session, customer: Customer) -> int:
    """Answers kept for repeats hold the customer as they were booked."""
    known = [text for text in (customer.email, customer.phone) if text]
    answer = cast(IdempotencyKey.answer, Text)
    return _affected(
        session,
        delete(IdempotencyKey).where(
            IdempotencyKey.company_id == require_company_id(),
            or_(*(func.strpos(answer, text) > 0 for text in known)),
        ),
    )


def _blank_what_was_typed(session: Session, customer_id: int) -> None:
    ids = _appointment_ids(customer_id)
    session.execute(
        update(Intent)
        .where(Intent.company_id == require_company_id(), Intent.appointment_id.in_(ids))
        .values(reason=None, error_message=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Discrepancy)
        .where(Discrepancy.company_id == require_company_id(), Discrepancy.appointment_id.in_(ids))
        .values(
            resolution_note=None,
            asked_note=None,
            # Cal.com's own text, which may name somebody.
            evidence=Discrepancy.evidence.delete_path(["detail"]),
        )
        .execution_options(synchronize_session=False)
    )


def _appointment_ids(customer_id: int) -> Select[int]:
    return select(Appointment.id).where(
        Appointment.company_id == require_company_id(), Appointment.customer_id == customer_id
    )


def _is_about(customer: Customer) -> ColumnElement[bool]:
    """A delivery about one of the customer's appointments, by its number or by any of its uids; or
    one that led to no appointment and names the customer's e-mail or telephone."""
    ids = _appointment_ids(customer.id)
    uids = select(BookingAlias.uid).where(
        BookingAlias.company_id == require_company_id(), BookingAlias.appointment_id.in_(ids)
    )
    body = cast(Delivery.body, Text)
    names = [body.regexp_match(each, flags="i") for each in _patterns_of(customer)]
    return (Delivery.company_id == require_company_id()) & or_(
        Delivery.appointment_id.in_(ids),
        Delivery.booking_uid.in_(uids),
        Delivery.old_booking_uid.in_(uids),
        Delivery.appointment_id.is_(None) & or_(false(), *names),
    )


def _patterns_of(customer: Customer) -> list[str]:
    """PostgreSQL's regular expressions for the addresses, not within longer ones."""
    email, phone = customer.email, customer.phone
    patterns = [rf"(?<![\w.%+-]){re.escape(email)}(?![\w-]|\.\w)"] if email else []
    return patterns + ([rf"{re.escape(phone)}(?!\d)"] if phone else [])


def _of(session: Session, model: Any, column: Any, customer_id: int) -> Sequence[Any]:
    """The rows of a model that belong to the customer's appointments, in their order."""
    return session.scalars(
        select(model)
        .where(model.company_id == require_company_id(), column.in_(_appointment_ids(customer_id)))
        .order_by(model.id)
    ).all()


def _plain(row: Any, *without: str) -> dict[str, Any]:
    columns = [each.key for each in row.__table__.columns if each.key not in without]
    values = {name: getattr(row, name) for name in columns}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _count(session: Session, rows: Select[int]) -> int:
    return session.scalar(select(func.count()).select_from(rows.subquery())) or 0


def _affected(session: Session, statement: Update | Delete) -> int:
    result = session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return result.rowcount
