"""Deliveries that came to nothing: people are told, for there may be a booking on Cal.com of which
nothing else here shows anything."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.delivery import Delivery, DeliveryStatus
from webapp.models.notification import NotificationType
from webapp.models.tenancy import require_company_id
from webapp.notify.inbox import close_told, tell

FAILED_SUBJECT = "deliveries"
"""One item for all that fail, which counts them: Cal.com may be away for a day."""


def tell_of_outcome(session: Session, delivery: Delivery) -> None:
    """Tell of one that failed; where one was run again and none is failed any more, it is over."""
    assert delivery.finished_at is not None  # noqa: S101 - it has an outcome
    now = delivery.finished_at
    if delivery.status is DeliveryStatus.FAILED:
        tell(
            session,
            NotificationType.DELIVERY_FAILED,
            FAILED_SUBJECT,
            now=now,
            delivery_id=delivery.id,
            reason=delivery.reason,
        )
    elif delivery.run_again_count and not _is_any_failed(session):
        close_told(session, [NotificationType.DELIVERY_FAILED], FAILED_SUBJECT, now=now)


def _is_any_failed(session: Session) -> bool:
    session.flush()
    failed = select(Delivery.id).where(
        Delivery.company_id == require_company_id(), Delivery.status == DeliveryStatus.FAILED
    )
    return session.scalar(failed.limit(1)) is not None
