"""The delivery job: a stored webhook takes effect, once, in one transaction without any call."""

import json
from datetime import timedelta

from sqlalchemy import select

from webapp import clock
from webapp.calcom.webhooks import DeliveryError, parse_delivery
from webapp.extensions import db
from webapp.logs import sync_log
from webapp.models.audit import Actor, record_audit
from webapp.models.company import Company
from webapp.models.delivery import Delivery, DeliveryStatus
from webapp.models.tenancy import as_company
from webapp.sync.arrivals import Arrival
from webapp.sync.receive import Effect, receive

MAX_TRIES = 5
RETRY_AFTER = timedelta(seconds=30)


def work_off(company_id: int, delivery_id: int) -> None:
    """Apply a delivery; one that another worker holds, or that is done, is left alone."""
    with as_company(company_id):
        _count_try(delivery_id)
        delivery = _take(delivery_id)
        if delivery is None:
            return
        effect = _effect(delivery)
        _finish(delivery, effect)
        db.session.commit()
        sync_log().info(
            "delivery_worked_off",
            delivery_id=delivery_id,
            status=effect.status.value,
            reason=effect.reason,
            appointment_id=effect.appointment_id,
        )


def _count_try(delivery_id: int) -> None:
    """Committed on its own: a body that kills the worker must not be tried for ever."""
    delivery = _take(delivery_id)
    if delivery is not None:
        delivery.attempt_count += 1
        delivery.due_at = clock.now() + RETRY_AFTER
        if delivery.attempt_count > MAX_TRIES:
            _finish(delivery, Effect(DeliveryStatus.FAILED, "too_many_tries"))
    db.session.commit()


def _take(delivery_id: int) -> Delivery | None:
    return db.session.scalar(
        select(Delivery)
        .where(Delivery.id == delivery_id, Delivery.status == DeliveryStatus.RECEIVED)
        .with_for_update(skip_locked=True)
    )


def _effect(delivery: Delivery) -> Effect:
    try:
        parsed = parse_delivery(json.dumps(delivery.body).encode())
    except DeliveryError as error:
        return Effect(DeliveryStatus.IGNORED, f"unreadable:{error.reason}")
    company = db.session.get_one(Company, delivery.company_id)
    arrival = Arrival(delivery.id, parsed, company.calcom_host, clock.now())
    return receive(db.session(), arrival)


def _finish(delivery: Delivery, effect: Effect) -> None:
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
