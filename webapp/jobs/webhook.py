"""Registering the webhook and proving it while a person waits; each call without a transaction."""

from webapp import clock
from webapp.application import vault
from webapp.calcom.pings import send_ping
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.logs import sync_log
from webapp.models.company import Company, Secret
from webapp.models.tenancy import require_company_id
from webapp.sync.connection import mark_connected
from webapp.sync.webhook_registration import prepare_registration, record_registration, register


def register_webhook(address: str, *, user_id: int) -> None:
    """Make Cal.com call this address with the current secret; commits. Raises CalcomError, and
    VaultError where the secret can't be opened."""
    wanted = prepare_registration(db.session(), vault(), address)
    db.session.commit()
    with open_client() as client:
        webhook = register(client, wanted)
    mark_connected(db.session(), now=clock.now())
    record_registration(db.session(), webhook, user_id=user_id, now=clock.now())
    db.session.commit()
    sync_log().info("webhook_registered")


def ping_webhook(address: str) -> str | None:
    """Send our own door a signed ping; None where it was taken, else what came instead.

    Ends the transaction. Raises VaultError where the secret can't be opened.
    """
    company = db.session.get_one(Company, require_company_id())
    secret = company.secret(Secret.WEBHOOK_SECRET, vault())
    db.session.rollback()
    trouble = send_ping(address, secret, now=clock.now()) if secret else "no secret"
    sync_log().info("webhook_pinged", trouble=trouble)
    return trouble
