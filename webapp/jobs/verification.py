"""The verification jobs: one appointment, or a run over many, each look outside a transaction."""

import time
from datetime import datetime, timedelta

from webapp import clock
from webapp.application import settings
from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import CalcomError, Postponed, Unauthorised
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.jobs.queues import enqueue_run
from webapp.logs import sync_log
from webapp.models.run import RunStatus
from webapp.models.tenancy import as_company
from webapp.sync.connection import mark_connected, mark_disconnected
from webapp.sync.intents import lock_appointment
from webapp.sync.judge import record_verification
from webapp.sync.runs import (
    Window,
    finish_run,
    next_appointments,
    note_progress,
    pause_run,
    take_run,
)
from webapp.sync.verify import Look, Observation, Outcome, Patience, observe, plan_verification

RUN_SECONDS = 240.0
"""A run's job hands over to a further one before its time limit of 300 s ends it."""

RUN_PAUSE_SECONDS = 10.0
"""A run that waited begins with a call of its own: so it waits for more than one free call."""


def verify(company_id: int, appointment_id: int) -> None:
    """Verify one appointment."""
    with as_company(company_id):
        look = _plan(appointment_id)
        if look is None:
            return None
        try:
            with open_client(is_sweep=not look.is_by_person) as client:
                seen = observe(look, client)
        except CalcomError as error:
            seen = Observation(error=error)
        if isinstance(seen.error, Postponed):
            return _wait(look, seen.error)
        record_look(look, seen)
    return None


def run(company_id: int, run_id: int) -> None:
    """Go on with a run, for as long as a job may."""
    with as_company(company_id):
        is_ours = take_run(db.session(), run_id, now=clock.now())
        db.session.commit()
        if not is_ours:
            return None
        try:
            with open_client(is_sweep=True) as client:
                client.me()
                _note_connected()
                is_through = _work_on(run_id, client)
        except Postponed as error:
            return _wait_with_run(run_id, error)
        except CalcomError as error:
            return _give_up(run_id, error)
        if not is_through:
            enqueue_run(company_id, run_id)
    return None


def _work_on(run_id: int, client: CalcomClient) -> bool:
    """True when the run is through, False when this job's time is."""
    ends = time.monotonic() + RUN_SECONDS
    while batch := _next_batch(run_id):
        for appointment_id in batch:
            if time.monotonic() > ends:
                pause_run(db.session(), run_id, now=clock.now())
                db.session.commit()
                return False
            _look_at(run_id, appointment_id, client)
    finish_run(db.session(), run_id, now=clock.now())
    db.session.commit()
    sync_log().info("run_finished", run_id=run_id)
    return True


def _next_batch(run_id: int) -> list[int]:
    window = Window(settings().verification_past_days, settings().verification_skip_seconds)
    batch = next_appointments(db.session(), run_id, window)
    db.session.rollback()
    return batch


def _look_at(run_id: int, appointment_id: int, client: CalcomClient) -> None:
    try:
        look = _plan(appointment_id)
        outcome = Outcome.SKIPPED if look is None else _look(look, client)
    except Postponed:
        raise
    except Exception:  # noqa: BLE001 - one appointment must not end its company's verification
        db.session.rollback()
        sync_log().exception("verification_broke_off", appointment_id=appointment_id)
        outcome = Outcome.ERROR
    note_progress(db.session(), run_id, appointment_id, outcome, now=clock.now())
    db.session.commit()


def _look(look: Look, client: CalcomClient) -> Outcome:
    """Raises Postponed: then the run waits, and looks at this one again."""
    seen = observe(look, client)
    if isinstance(seen.error, Postponed):
        raise seen.error
    return record_look(look, seen)


def _wait(look: Look, error: Postponed) -> None:
    """Nothing was seen: whoever asked still wants to know."""
    appointment = lock_appointment(db.session(), look.appointment_id)
    if appointment is not None:
        pause = timedelta(seconds=error.retry_after_seconds)
        appointment.next_verification_at = clock.now() + pause
    db.session.commit()
    sync_log().info("verification_waits", appointment_id=look.appointment_id, code=error.code)


def _wait_with_run(run_id: int, error: Postponed) -> None:
    """The lease moves on; the pulse hands the run to a further job when it passes."""
    pause = timedelta(seconds=error.retry_after_seconds + RUN_PAUSE_SECONDS)
    pause_run(db.session(), run_id, now=clock.now() + pause)
    db.session.commit()
    sync_log().info("run_waits", run_id=run_id, code=error.code)


def _note_connected() -> None:
    mark_connected(db.session(), now=clock.now())
    db.session.commit()


def _give_up(run_id: int, error: CalcomError) -> None:
    now = clock.now()
    if isinstance(error, Unauthorised):
        mark_disconnected(db.session(), error.code, now=now)
    finish_run(db.session(), run_id, now=now, status=RunStatus.FAILED, error_code=error.code)
    db.session.commit()
    sync_log().warning("run_failed", run_id=run_id, code=error.code)


def _plan(appointment_id: int) -> Look | None:
    look = plan_verification(db.session(), appointment_id, now=clock.now(), patience=patience())
    db.session.commit()
    return look


def record_look(look: Look, seen: Observation) -> Outcome:
    now: datetime = clock.now()
    outcome = record_verification(db.session(), look, seen, now=now, patience=patience())
    db.session.commit()
    sync_log().info("verified", appointment_id=look.appointment_id, outcome=outcome.value)
    return outcome


def patience() -> Patience:
    return Patience(
        skip=settings().verification_skip_seconds,
        grace=settings().absence_grace_seconds,
        gap=settings().absence_gap_seconds,
        retries=settings().verification_retry_seconds,
    )
