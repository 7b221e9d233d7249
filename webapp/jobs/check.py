"""Testing the connection while a person waits: whose key is it?"""

from webapp import clock
from webapp.calcom.errors import CalcomError, Unauthorised
from webapp.calcom.payloads import Account
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.sync.connection import mark_connected, mark_disconnected


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
