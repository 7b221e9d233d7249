"""The job of a run: it goes on for as long as a job may, waits where Cal.com can't be asked, and
gives up where asking makes no sense."""

from datetime import timedelta

from webapp import clock
from webapp.calcom.errors import CalcomError, Postponed, Unauthorised, Unavailable
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.jobs.queues import enqueue_run
from webapp.jobs.sweep import Calls, Sweep
from webapp.logs import sync_log
from webapp.models.run import RunStatus
from webapp.models.tenancy import as_company
from webapp.sync.connection import mark_disconnected
from webapp.sync.runs import (
    RunLost,
    count_requests,
    finish_run,
    note_trouble,
    pause_run,
    take_run,
)
from webapp.sync.sightings import forget_sightings

RUN_PAUSE_SECONDS = 10.0
"""A run that waited begins with a call of its own: so it waits for more than one free call."""

INTERNAL = "INTERNAL"
"""The error code of what we did not foresee; the log has the trace."""

TROUBLE_SECONDS = 30.0
MOST_TROUBLES = 3
"""Where Cal.com can't answer, a run waits, and gives up at the third time in a row."""


def go_on(company_id: int, run_id: int) -> None:
    """Go on with a run; a further job is queued where this one's time is over before it is."""
    with as_company(company_id):
        is_ours = take_run(db.session(), run_id, now=clock.now())
        db.session.commit()
        if is_ours and not _work(run_id):
            enqueue_run(company_id, run_id)


def _work(run_id: int) -> bool:
    """False where a further job has to go on at once."""
    calls = Calls()
    try:
        with open_client(is_sweep=True, on_call=calls.count) as client:
            return Sweep(run_id, client, calls).work()
    except RunLost:
        db.session.rollback()
        sync_log().warning("run_lost", run_id=run_id)
    except Postponed as error:
        _wait(run_id, error.code, error.retry_after_seconds + RUN_PAUSE_SECONDS)
    except Unavailable as error:
        _bear_or_give_up(run_id, error.code, error)
    except CalcomError as error:
        _give_up(run_id, error.code, error)
    except Exception as error:  # noqa: BLE001 - a page that breaks us must not block all later runs
        sync_log().exception("run_broke_off", run_id=run_id)
        _bear_or_give_up(run_id, INTERNAL, error)
    finally:
        db.session.rollback()
        count_requests(db.session(), run_id, calls.take())
        db.session.commit()
    return True


def _wait(run_id: int, code: str, seconds: float) -> None:
    """The lease moves on; the pulse hands the run to a further job when it passes."""
    db.session.rollback()
    pause_run(db.session(), run_id, now=clock.now() + timedelta(seconds=seconds))
    db.session.commit()
    sync_log().info("run_waits", run_id=run_id, code=code)


def _bear_or_give_up(run_id: int, code: str, error: Exception) -> None:
    """Trouble in the middle proves nothing: the page is read again, a little later."""
    db.session.rollback()
    until = clock.now() + timedelta(seconds=TROUBLE_SECONDS)
    streak = note_trouble(db.session(), run_id, until=until)
    db.session.commit()
    if streak >= MOST_TROUBLES:
        _give_up(run_id, code, error)
    else:
        sync_log().info("run_waits", run_id=run_id, code=code)


def _give_up(run_id: int, code: str, error: Exception) -> None:
    db.session.rollback()
    now = clock.now()
    if isinstance(error, Unauthorised):
        mark_disconnected(db.session(), code, now=now)
    forget_sightings(db.session(), run_id)
    finish_run(db.session(), run_id, now=now, status=RunStatus.FAILED, error_code=code)
    db.session.commit()
    sync_log().warning("run_failed", run_id=run_id, code=code)
