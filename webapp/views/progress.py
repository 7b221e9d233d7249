"""Between a click and its result: is something still on its way, and how often to look."""

from datetime import datetime, timedelta

from webapp.models.appointment import Appointment
from webapp.models.sync_state import WAITING

EAGER_FOR = timedelta(minutes=2)
EAGER_SECONDS = 2
PATIENT_SECONDS = 15


def is_being_worked_on(appointment: Appointment) -> bool:
    """A push or a verification is under way; what is seen now is not the last word."""
    return (
        appointment.calcom_sync_status in WAITING
        or appointment.verification_requested_at is not None
    )


def is_slow(appointment: Appointment, now: datetime) -> bool:
    """Whether this takes longer than a person would expect."""
    began_at = appointment.verification_requested_at or appointment.sync_initiated_at
    return began_at is not None and now - began_at > timedelta(seconds=20)


def poll_seconds(appointment: Appointment, now: datetime) -> int:
    """Look every two seconds at first; what takes minutes is looked at less often."""
    began_at = appointment.verification_requested_at or appointment.sync_initiated_at
    is_fresh = began_at is None or now - began_at < EAGER_FOR
    return EAGER_SECONDS if is_fresh else PATIENT_SECONDS
