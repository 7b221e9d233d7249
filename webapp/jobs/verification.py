"""The job that verifies one appointment: each look is outside a transaction."""

from datetime import datetime, timedelta

from webapp import clock
from webapp.application import settings
from webapp.calcom.errors import CalcomError, Postponed
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.logs import sync_log
from webapp.models.tenancy import as_company
from webapp.sync.announcements import Alarm
from webapp.sync.intents import lock_appointment
from webapp.sync.judge import record_verification
from webapp.sync.verify import Look, Observation, Outcome, Patience, observe, plan_verification


def verify(company_id: int, appointment_id: int) -> None:
    """Verify one appointment."""
    with as_company(company_id):
        look = plan_look(appointment_id)
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


def _wait(look: Look, error: Postponed) -> None:
    """Nothing was seen: whoever asked still wants to know."""
    appointment = lock_appointment(db.session(), look.appointment_id)
    if appointment is not None:
        pause = timedelta(seconds=error.retry_after_seconds)
        appointment.next_verification_at = clock.now() + pause
    db.session.commit()
    sync_log().info("verification_waits", appointment_id=look.appointment_id, code=error.code)


def plan_look(appointment_id: int) -> Look | None:
    """What to look at, the lease taken; None where nothing can or need be said."""
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
    """The settings that keep verification from crying wolf."""
    return Patience(
        skip=settings().verification_skip_seconds,
        grace=settings().absence_grace_seconds,
        gap=settings().absence_gap_seconds,
        retries=settings().verification_retry_seconds,
        alarm=Alarm(
            patience_seconds=settings().webhook_patience_seconds,
            misses=settings().webhook_silent_misses,
            share=settings().webhook_silent_share,
        ),
        news=settings().verification_news_seconds,
    )
