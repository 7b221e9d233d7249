"""Rows as the API answers them."""

from webapp.models import appointment, run, service
from webapp.models.sync_state import WAITING
from webapp.views.api import shapes


def describe_appointment(row: appointment.Appointment) -> shapes.Appointment:
    """An appointment whose customer and service are loaded."""
    return shapes.Appointment(
        id=row.id,
        status=row.status,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        service=shapes.ServiceRef(id=row.service.id, name=row.service.name),
        customer=shapes.Customer(
            id=row.customer.id,
            name=row.customer.name,
            email=row.customer.email,
            phone=row.customer.phone,
        ),
        guests=row.guests,
        notes=row.notes,
        cancellation_reason=row.cancellation_reason,
        origin=row.created_by_origin,
        created_at=row.created_at,
        sync=describe_sync(row),
    )


def describe_sync(row: appointment.Appointment) -> shapes.Sync:
    code = row.sync_error_code
    return shapes.Sync(
        appointment_id=row.id,
        status=row.calcom_sync_status,
        is_settled=row.calcom_sync_status not in WAITING,
        calcom_booking_uid=row.calcom_v2_booking_id,
        error=None if code is None else shapes.SyncError(code=code, message=row.sync_error_message),
        requires_review=row.requires_manual_review,
        flagged_at=row.manual_review_flagged_at,
        initiated_at=row.sync_initiated_at,
        last_attempt_at=row.last_sync_attempt_at,
        verified_at=row.sync_verified_at,
    )


def describe_service(row: service.Service) -> shapes.Service:
    return shapes.Service(
        id=row.id,
        name=row.name,
        duration_minutes=row.duration_minutes,
        price_cents=row.price_cents,
        currency=row.currency,
        is_offered=row.is_offered,
        is_connected=row.calcom_event_type_id is not None,
    )


def describe_run(row: run.Run | None) -> shapes.LastVerification | None:
    if row is None:
        return None
    return shapes.LastVerification(
        status=row.status,
        started_at=row.started_at,
        finished_at=row.finished_at,
        compared=row.compared_count,
        disagreed=row.disagreed_count,
    )
