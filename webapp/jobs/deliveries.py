"""The delivery job: a stored webhook takes effect, once, in one transaction without any call.

1. apply   what the delivery says, where it continues what we know
2. read    Cal.com, no transaction open, where it leaves doubt: not at once, for reads lag
3. settle  by what was read

A rehearsal does the same and keeps nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select

from webapp import clock
from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import CalcomError, Postponed
from webapp.calcom.payloads import Booking
from webapp.calcom.webhooks import DeliveryError, read_delivery
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.logs import sync_log
from webapp.models.audit import Actor, record_audit
from webapp.models.company import Company
from webapp.models.delivery import OWN_PING, READ_AGAIN, Delivery, DeliveryStatus
from webapp.models.tenancy import as_company, require_company_id
from webapp.sync.agreement import holder_of
from webapp.sync.announcements import note_arrival
from webapp.sync.arrivals import Arrival
from webapp.sync.dry_run import Rehearsal, rehearse_effect
from webapp.sync.effects import Effect
from webapp.sync.failed_deliveries import tell_of_outcome
from webapp.sync.receive import READ_AGAIN_AFTER, receive
from webapp.sync.truth import read_chain, settle_by_truth

MAX_TRIES = 5
END_TRIES = 3
"""An end that Cal.com doesn't show is read so often before it is taken for one seat's leaving."""
LEASE = timedelta(seconds=40)
READ_SECONDS = 20.0
"""A call more may begin within these, so that reading ends before the lease does."""

PAUSES = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(minutes=30))
"""Before Cal.com is asked once more, where it could not be."""


def work_off(company_id: int, delivery_id: int) -> None:
    """Apply a delivery; one that another worker holds, or that is done, is left alone."""
    with as_company(company_id):
        delivery = _begin_try(delivery_id)
        if delivery is None:
            return
        wants_truth = delivery.reason == READ_AGAIN
        db.session.commit()
        if wants_truth or _apply(delivery_id):
            _read_and_settle(delivery_id)


def rehearse(delivery_id: int) -> Rehearsal:
    """What a delivery would change now, in the company acted for; nothing is kept.

    Raises CalcomError where Cal.com would have to be asked and could not be. No transaction may be
    open.
    """
    rehearsal = _rehearse(delivery_id, lambda arrival: receive(db.session(), arrival))
    if not rehearsal.effect.is_undecided:
        return rehearsal
    chain = _read(delivery_id)
    return _rehearse(
        delivery_id, lambda arrival: settle_by_truth(db.session(), arrival, chain), was_read=True
    )


def _rehearse(
    delivery_id: int, act: Callable[[Arrival], Effect], *, was_read: bool = False
) -> Rehearsal:
    try:
        arrival = _arrival(_row(delivery_id))
        return rehearse_effect(db.session(), lambda: act(arrival), was_read=was_read)
    except DeliveryError as error:
        return Rehearsal(_unreadable(error))
    finally:
        db.session.rollback()


def _begin_try(delivery_id: int) -> Delivery | None:
    """Counted and committed on its own: a body that kills the worker isn't tried for ever."""
    delivery = _take(delivery_id)
    now = clock.now()
    if delivery is None or (delivery.reason == READ_AGAIN and delivery.due_at > now):
        db.session.rollback()
        return None
    delivery.attempt_count += 1
    delivery.due_at = now + LEASE
    if delivery.attempt_count > MAX_TRIES:
        _finish(delivery, Effect(DeliveryStatus.FAILED, "too_many_tries"))
        db.session.commit()
        return None
    return delivery


def _apply(delivery_id: int) -> bool:
    """Step 1; True where Cal.com is to be asked at once."""
    delivery = _take(delivery_id)
    if delivery is None:
        db.session.rollback()
        return False
    now = clock.now()
    effect = _effect(delivery)
    if not effect.is_undecided:
        _finish(delivery, effect)
        db.session.commit()
        return False
    _wait_for_truth(delivery, effect, until=delivery.received_at + READ_AGAIN_AFTER)
    is_due = delivery.due_at <= now
    delivery.attempt_count = 0
    if is_due:
        # This try is the first at reading, and nobody else is to read beside it.
        delivery.attempt_count, delivery.due_at = 1, now + LEASE
    db.session.commit()
    return is_due


def _read_and_settle(delivery_id: int) -> None:
    """Steps 2 and 3."""
    try:
        chain = _read(delivery_id)
    except CalcomError as error:
        return _try_later(delivery_id, error)
    delivery = _take(delivery_id)
    if delivery is not None:
        is_read_again = delivery.attempt_count < END_TRIES
        arrival = replace(_arrival(delivery), is_read_again=is_read_again)
        effect = settle_by_truth(db.session(), arrival, chain)
        if effect.is_undecided and delivery.attempt_count < MAX_TRIES:
            _wait_for_truth(delivery, effect, until=clock.now() + _pause(delivery))
        else:
            _finish(delivery, _given_up(effect))
    db.session.commit()
    return None


def _read(delivery_id: int) -> Sequence[Booking]:
    """Raises CalcomError."""
    delivery = _row(delivery_id)
    uid, host = delivery.booking_uid, db.session.get_one(Company, delivery.company_id).calcom_host
    db.session.rollback()
    if uid is None:
        return []
    with open_client() as client:
        return _chain(client, uid, host)


def _chain(client: CalcomClient, uid: str, host: str) -> Sequence[Booking]:
    def is_known(wanted: str) -> bool:
        is_ours = holder_of(db.session(), host, wanted) is not None
        db.session.rollback()
        return is_ours

    return read_chain(client.get_booking, uid, is_known, seconds=READ_SECONDS)


def _try_later(delivery_id: int, error: CalcomError) -> None:
    """Cal.com could not be asked: later, and in the end a person may run it again."""
    delivery = _take(delivery_id)
    if delivery is not None and isinstance(error, Postponed):
        delivery.attempt_count -= 1
        delivery.due_at = clock.now() + timedelta(seconds=error.retry_after_seconds)
    elif delivery is not None and delivery.attempt_count < MAX_TRIES:
        delivery.due_at = clock.now() + _pause(delivery)
    elif delivery is not None:
        _finish(delivery, Effect(DeliveryStatus.FAILED, "calcom_not_readable"))
    db.session.commit()
    sync_log().info("delivery_waits", delivery_id=delivery_id, code=error.code)


def _pause(delivery: Delivery) -> timedelta:
    return PAUSES[min(max(delivery.attempt_count, 1), len(PAUSES)) - 1]


def _given_up(effect: Effect) -> Effect:
    """A change of ours that is still on its way settles it in its own time."""
    if not effect.is_undecided:
        return effect
    return Effect(DeliveryStatus.IGNORED, "on_its_way", effect.appointment_id)


def _wait_for_truth(delivery: Delivery, effect: Effect, *, until: datetime) -> None:
    delivery.reason = READ_AGAIN
    delivery.due_at = until
    delivery.appointment_id = effect.appointment_id


def _take(delivery_id: int) -> Delivery | None:
    return db.session.scalar(
        select(Delivery)
        .where(
            Delivery.company_id == require_company_id(),
            Delivery.id == delivery_id,
            Delivery.status == DeliveryStatus.RECEIVED,
        )
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )


def _row(delivery_id: int) -> Delivery:
    return db.session.get_one(Delivery, (require_company_id(), delivery_id))


def _effect(delivery: Delivery) -> Effect:
    try:
        return receive(db.session(), _arrival(delivery))
    except DeliveryError as error:
        return _unreadable(error)


def _unreadable(error: DeliveryError) -> Effect:
    return Effect(DeliveryStatus.IGNORED, f"unreadable:{error.reason}")


def _arrival(delivery: Delivery) -> Arrival:
    """Raises DeliveryError."""
    company = db.session.get_one(Company, delivery.company_id)
    parsed = read_delivery(delivery.body)
    return Arrival(delivery.id, parsed, company.calcom_host, clock.now())


def _finish(delivery: Delivery, effect: Effect) -> None:
    """Write the outcome down, with the refused in the audit log; the caller commits."""
    now = clock.now()
    delivery.status, delivery.reason = effect.status, effect.reason
    delivery.appointment_id = effect.appointment_id
    delivery.finished_at = now
    if effect.status is DeliveryStatus.REFUSED:
        record_audit(
            db.session(),
            "delivery.refused",
            f"delivery:{delivery.id}",
            at=now,
            actor=Actor.CALCOM,
            reason=effect.reason,
        )
    tell_of_outcome(db.session(), delivery)
    if not delivery.run_again_count and delivery.trigger != OWN_PING:
        note_arrival(db.session(), delivery.received_at, now=now)
    sync_log().info(
        "delivery_worked_off",
        delivery_id=delivery.id,
        status=effect.status.value,
        reason=effect.reason,
        appointment_id=effect.appointment_id,
    )
