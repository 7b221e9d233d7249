"""Appointments: list, one, its sync."""

from pydantic import BaseModel

from webapp.extensions import db
from webapp.models.api_token import Scope
from webapp.views.api.cursors import Place, write_cursor
from webapp.views.api.descriptions import describe_appointment, describe_sync
from webapp.views.api.listing import query_appointments
from webapp.views.api.operations import reads
from webapp.views.api.problems import Code
from webapp.views.api.shapes import Appointment, AppointmentPage, AppointmentQuery, Sync
from webapp.views.appointments import find_appointment

GROUP = "Appointments"


@reads(
    "/appointments",
    group=GROUP,
    scope=Scope.APPOINTMENTS_READ,
    query=AppointmentQuery,
    answer=AppointmentPage,
    refusals=(Code.NOT_FOUND,),
)
def list_appointments(query: AppointmentQuery) -> BaseModel:
    """List appointments

    Page by page: ask again with `cursor` set to `next_cursor` of the page before, and the same
    filters, until that is null. A `service_id` or `customer_id` that is not your company's is 404.
    """
    rows = list(db.session.scalars(query_appointments(query)))
    shown = rows[: query.limit]
    has_more = len(rows) > len(shown)
    last = Place(shown[-1].starts_at, shown[-1].id) if has_more else None
    return AppointmentPage(
        data=[describe_appointment(row) for row in shown],
        next_cursor=last and write_cursor(last, query),
    )


@reads(
    "/appointments/<int:appointment_id>",
    group=GROUP,
    scope=Scope.APPOINTMENTS_READ,
    answer=Appointment,
    refusals=(Code.NOT_FOUND,),
)
def get_appointment(appointment_id: int) -> BaseModel:
    """Get an appointment"""
    return describe_appointment(find_appointment(appointment_id))


@reads(
    "/appointments/<int:appointment_id>/sync",
    group=GROUP,
    scope=Scope.APPOINTMENTS_READ,
    answer=Sync,
    refusals=(Code.NOT_FOUND,),
)
def get_sync(appointment_id: int) -> BaseModel:
    """Get how an appointment stands towards Cal.com

    After a change ask every second or two until `is_settled`; then `status` says how it went.
    """
    return describe_sync(find_appointment(appointment_id))
