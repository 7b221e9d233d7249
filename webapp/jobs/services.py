"""The services job: a company's services are compared with their event types on Cal.com."""

from datetime import timedelta

from webapp import clock
from webapp.calcom.errors import CalcomError, Postponed, Unauthorised
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.logs import sync_log
from webapp.models.tenancy import as_company
from webapp.sync.catalog import (
    end_comparison,
    put_off_comparison,
    read_event_types,
    record_comparison,
    take_comparison,
)
from webapp.sync.connection import mark_connected, mark_disconnected


def compare(company_id: int, _row_id: int) -> None:
    """Compare what is due; where Cal.com can't be asked now, it is due again later."""
    with as_company(company_id):
        wanted = take_comparison(db.session(), now=clock.now())
        db.session.commit()
        if wanted is None:
            return None
        try:
            with open_client() as client:
                readings = read_event_types(wanted, client)
        except Postponed as error:
            return _put_off(error)
        except CalcomError as error:
            return _give_up(error)
        mark_connected(db.session(), now=clock.now())
        troubled = record_comparison(db.session(), readings, now=clock.now())
        db.session.commit()
        sync_log().info("services_compared", compared=len(readings), troubled=troubled)
    return None


def _put_off(error: Postponed) -> None:
    pause = timedelta(seconds=error.retry_after_seconds)
    put_off_comparison(db.session(), until=clock.now() + pause)
    db.session.commit()
    sync_log().info("services_wait", code=error.code)


def _give_up(error: CalcomError) -> None:
    """The page says why; the next night, or whoever presses the button, asks again."""
    if isinstance(error, Unauthorised):
        mark_disconnected(db.session(), error.code, now=clock.now())
    end_comparison(db.session(), now=clock.now(), error_code=error.code)
    db.session.commit()
    sync_log().warning("services_not_compared", code=error.code)
