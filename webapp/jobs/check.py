"""Testing the connection while a person waits: where does it lead, and whose key is it?"""

from webapp import clock
from webapp.application import settings
from webapp.calcom.addresses import check_base_url, parse_base_url
from webapp.calcom.errors import CalcomError, Unauthorised
from webapp.calcom.payloads import Account
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.models.company import Company
from webapp.models.tenancy import require_company_id
from webapp.sync.connection import mark_connected, mark_disconnected


def judge_address(url: str) -> None:
    """Look up where an address leads before it is kept; raises AddressError. Ends the transaction.

    The company's own isn't looked up: a name server's trouble keeps nobody from changing the key.
    """
    allow_private = settings().allow_private_networks
    kept = db.session.get_one(Company, require_company_id()).calcom_base_url
    db.session.rollback()
    if parse_base_url(url, allow_private=allow_private) != kept:
        check_base_url(url, allow_private=allow_private)


def check_connection() -> Account:
    """Ask `/me`, the only honest check of a key; the company's state follows, and is committed.

    Raises CalcomError. Ends the transaction.
    """
    try:
        with open_client() as client:
            account = client.me()
    except CalcomError as error:
        if isinstance(error, Unauthorised):
            mark_disconnected(db.session(), error.code, now=clock.now())
            db.session.commit()
        raise
    mark_connected(db.session(), now=clock.now())
    db.session.commit()
    return account
