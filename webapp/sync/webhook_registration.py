"""Our webhook on Cal.com: registered through its API, and its secret replaced without a gap.

While a secret is replaced two are valid: ours is stored first, then Cal.com is told, and the old
one opens the door until somebody retires it. Registering is the same act however often it is done:
it makes Cal.com's webhook carry our address, our triggers and the current secret.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import Conflict
from webapp.calcom.payloads import Webhook
from webapp.models.audit import Actor, record_audit
from webapp.models.company import Company, Secret
from webapp.models.tenancy import require_company_id
from webapp.models.vault import Vault, VaultError

SECRET_BYTES = 32
TRIGGERS = (
    "BOOKING_CREATED",
    "BOOKING_RESCHEDULED",
    "BOOKING_REQUESTED",
    "BOOKING_CANCELLED",
    "BOOKING_REJECTED",
    "BOOKING_NO_SHOW_UPDATED",
    "MEETING_ENDED",
)
"""What changes appointments; others would be stored and ignored."""


class RotationUnderWay(Exception):
    """Two secrets are valid already: retire the old one before another is made."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What Cal.com is to carry: plain values, for the call is made without a transaction."""

    address: str
    secret: str


def prepare_registration(session: Session, vault: Vault, address: str) -> Registration:
    """The address and its secret, which is made where there is none: stored before Cal.com has it,
    so that its first delivery is let in. Raises VaultError where the secret can't be opened."""
    company = session.get_one(Company, require_company_id())
    secret = company.secret(Secret.WEBHOOK_SECRET, vault)
    if not secret:
        secret = secrets.token_urlsafe(SECRET_BYTES)
        company.set_secret(Secret.WEBHOOK_SECRET, secret, vault)
    return Registration(address, secret)


def replace_secret(
    session: Session, vault: Vault, secret: str, *, user_id: int | None, now: datetime
) -> bool:
    """Set a secret that somebody brought along; the one before stays valid, for Cal.com signs with
    it until it is told. False where it is the one already.

    Of two that are valid the older one goes: Cal.com was given the other since.
    """
    company = session.get_one(
        Company, require_company_id(), populate_existing=True, with_for_update=True
    )
    before = _readable_secret(company, vault)
    if secret == before:
        return False
    if before is not None:
        company.set_secret(Secret.WEBHOOK_SECRET_PREVIOUS, before, vault)
    company.set_secret(Secret.WEBHOOK_SECRET, secret, vault)
    _audit(session, "webhook.secret_set", user_id, now)
    return True


def rotate_secret(session: Session, vault: Vault, *, user_id: int, now: datetime) -> None:
    """A new secret; the one before stays valid until it is retired. Raises RotationUnderWay."""
    company = session.get_one(
        Company, require_company_id(), populate_existing=True, with_for_update=True
    )
    if company.calcom_webhook_secret_previous is not None:
        raise RotationUnderWay
    company.set_secret(
        Secret.WEBHOOK_SECRET_PREVIOUS, company.secret(Secret.WEBHOOK_SECRET, vault), vault
    )
    company.set_secret(Secret.WEBHOOK_SECRET, secrets.token_urlsafe(SECRET_BYTES), vault)
    _audit(session, "webhook.secret_rotated", user_id, now)


def retire_previous_secret(session: Session, *, user_id: int, now: datetime) -> bool:
    """Let the old secret open nothing any more; False where there is none."""
    company = session.get_one(
        Company, require_company_id(), populate_existing=True, with_for_update=True
    )
    if company.calcom_webhook_secret_previous is None:
        return False
    company.calcom_webhook_secret_previous = None
    _audit(session, "webhook.secret_retired", user_id, now)
    return True


def register(client: CalcomClient, wanted: Registration) -> Webhook:
    """Make Cal.com call our address, whether it knows it already or not; raises CalcomError."""
    known = _find(client, wanted.address)
    if known is None:
        try:
            return client.create_webhook(wanted.address, TRIGGERS, wanted.secret)
        except Conflict:
            # Somebody was quicker, or an answer of ours was lost.
            known = _find(client, wanted.address)
            if known is None:
                raise
    return client.renew_webhook(known.id, TRIGGERS, wanted.secret)


def record_registration(
    session: Session, webhook: Webhook, *, user_id: int | None, now: datetime
) -> None:
    company = session.get_one(Company, require_company_id(), populate_existing=True)
    company.webhook_id = webhook.id
    company.webhook_registered_at = now
    _audit(session, "webhook.registered", user_id, now)


def _readable_secret(company: Company, vault: Vault) -> str | None:
    """What cannot be opened opened no door either: it may be replaced."""
    try:
        return company.secret(Secret.WEBHOOK_SECRET, vault)
    except VaultError:
        return None


def _find(client: CalcomClient, address: str) -> Webhook | None:
    return next((each for each in client.list_webhooks() if each.subscriber_url == address), None)


def _audit(session: Session, action: str, user_id: int | None, now: datetime) -> None:
    actor = Actor.OPERATOR if user_id is None else Actor.USER
    subject = f"company:{require_company_id()}"
    record_audit(session, action, subject, at=now, actor=actor, user_id=user_id)
