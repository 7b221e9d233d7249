"""What a caller can ask for, and which of it they mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.phone.likeness import ALIKE, is_inside, likeness, words
from webapp.sync.phone.outcomes import Reason, objection


@dataclass(frozen=True, slots=True)
class Offer:
    """A service in plain values: they outlive the transaction they were read in.

    `gap_minutes` is what two of them keep apart: one's buffer after and the other's before.
    """

    service_id: int
    name: str
    event_type_id: int | None
    minutes: int
    gap_minutes: int


def read_offers(session: Session) -> list[Offer]:
    """What the company offers, by name."""
    rows = session.scalars(
        select(Service)
        .where(Service.company_id == require_company_id(), Service.is_offered)
        .order_by(Service.name, Service.id)
    )
    return [as_offer(row) for row in rows]


def as_offer(row: Service) -> Offer:
    gap = row.buffer_before_minutes + row.buffer_after_minutes
    return Offer(row.id, row.name, row.calcom_event_type_id, row.duration_minutes, gap)


def choose_offer(offers: Sequence[Offer], said: str) -> Offer:
    """The one that is meant; without a word the only one. Raises Objection with what is offered."""
    if not offers:
        raise objection(Reason.NOTHING_OFFERED)
    if not words(said):
        if len(offers) == 1:
            return offers[0]
        raise objection(Reason.SERVICE_MISSING, services=_names(offers))
    meant = _matches(offers, said)
    if len(meant) == 1:
        return meant[0]
    raise objection(Reason.SERVICE_UNKNOWN, services=_names(meant or offers))


def _matches(offers: Sequence[Offer], said: str) -> list[Offer]:
    """The same words, else some of them, else what sounds like them."""
    same = [offer for offer in offers if words(offer.name) == words(said)]
    near = same or [offer for offer in offers if is_inside(said, offer.name)]
    if near:
        return near
    scored = [(likeness(said, offer.name), offer) for offer in offers]
    best = max(score for score, _ in scored)
    return [offer for score, offer in scored if score == best >= ALIKE]


def _names(offers: Sequence[Offer]) -> tuple[str, ...]:
    return tuple(offer.name for offer in offers)
