"""Services and the Cal.com event types they are booked as."""

from datetime import datetime

from sqlalchemy.orm import Session

from webapp.models.company import Company
from webapp.models.crossing import is_event_type_claimed_elsewhere
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.onboarding import InvalidValue


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

    Raises InvalidValue where another company holds the event type on the same host.
    """
    company = session.get_one(Company, require_company_id())
    host = company.calcom_host
    if event_type_id is not None and is_event_type_claimed_elsewhere(
        session, host, event_type_id, company.id
    ):
        raise InvalidValue("another company offers this event type")
    service = Service(
        name=name,
        duration_minutes=duration_minutes,
        price_cents=price_cents,
        currency=currency,
        calcom_event_type_id=event_type_id,
        calcom_host=host if event_type_id is not None else None,
        created_at=now,
    )
    session.add(service)
    session.flush()
    return service
