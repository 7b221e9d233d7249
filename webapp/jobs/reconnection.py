"""The reconnection job: a refused key is tried again, so that what it held up goes on by itself."""

from webapp import clock
from webapp.calcom.errors import CalcomError, Unauthorised
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.logs import sync_log
from webapp.models.tenancy import as_company
from webapp.sync.connection import mark_connected, mark_disconnected, needs_asking


def reconnect(company_id: int, _row_id: int) -> None:
    """Ask `/me`, if the key is still refused; where Cal.com says nothing, all stays as it is."""
    with as_company(company_id):
        is_needed = needs_asking(db.session(), clock.now())
        db.session.rollback()
        if not is_needed:
            return
        try:
            with open_client(is_sweep=True) as client:
                client.me()
        except Unauthorised as error:
            mark_disconnected(db.session(), error.code, now=clock.now())
            sync_log().info("key_still_refused", code=error.code)
        except CalcomError as error:
            sync_log().info("reconnection_put_off", code=error.code)
        else:
            mark_connected(db.session(), now=clock.now())
            sync_log().info("key_taken_again")
        db.session.commit()
