"""Which appointments a list holds, in which order: the query's filters as SQL."""

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.orm import joinedload

from webapp.models.appointment import Appointment
from webapp.models.customer import Customer
from webapp.models.history import HistoryEvent
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.views.access import find_or_404
from webapp.views.api.cursors import Place, read_cursor
from webapp.views.api.shapes import AppointmentQuery


def query_appointments(query: AppointmentQuery) -> Select[Appointment]:
    """One row more than a page holds, beginning behind the cursor; a stranger's id is 404."""
    wanted = (
        select(Appointment)
        .where(Appointment.company_id == require_company_id(), *_conditions(query))
        .options(joinedload(Appointment.customer), joinedload(Appointment.service))
        .limit(query.limit + 1)
    )
    if query.cursor is not None:
        wanted = wanted.where(_is_behind(read_cursor(query.cursor, query), query))
    if query.order == "starts_at":
        return wanted.order_by(Appointment.starts_at, Appointment.id)
    return wanted.order_by(Appointment.id)


def _is_behind(place: Place, query: AppointmentQuery) -> ColumnElement[bool]:
    if query.order == "starts_at":
        return tuple_(Appointment.starts_at, Appointment.id) > tuple_(place.starts_at, place.id)
    return Appointment.id > place.id


def _conditions(query: AppointmentQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.status:
        found.append(Appointment.status.in_(query.status))
    if query.sync_status:
        found.append(Appointment.calcom_sync_status.in_(query.sync_status))
    if query.requires_review is not None:
        found.append(Appointment.requires_manual_review.is_(query.requires_review))
    if query.service_id is not None:
        found.append(Appointment.service_id == find_or_404(Service, query.service_id).id)
    if query.customer_id is not None:
        found.append(Appointment.customer_id == find_or_404(Customer, query.customer_id).id)
    return found + _times(query)


def _times(query: AppointmentQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.starts_from is not None:
        found.append(Appointment.starts_at >= query.starts_from)
    if query.starts_before is not None:
        found.append(Appointment.starts_at < query.starts_before)
    if query.updated_since is not None:
        # The timeline is the only record of every change, and has an index by time.
        changed = select(HistoryEvent.appointment_id).where(
            HistoryEvent.company_id == require_company_id(),
            HistoryEvent.at >= query.updated_since,
        )
        found.append(Appointment.id.in_(changed))
    return found
