"""Appointments: the list, one with its sync and timeline, and asking for a look at Cal.com."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import enqueue_push, enqueue_verification
from webapp.models.appointment import Appointment
from webapp.models.discrepancy import Discrepancy
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.sync.mailing import foresee_mail_of_pushing_again
from webapp.sync.marking import marks_for
from webapp.sync.review import push_again, request_retry
from webapp.sync.verify import request_verification
from webapp.views import htmx
from webapp.views.access import (
    LARGEST_ID,
    acting,
    company_zone,
    find_or_404,
    require_person,
    settlers_only,
)
from webapp.views.appointment_list import (
    PERIODS,
    SYNC_GROUPS,
    parse_filters,
    query_appointments,
)
from webapp.views.pages import render_page
from webapp.views.paging import Cursor, fetch_page
from webapp.views.progress import is_being_worked_on, poll_seconds
from webapp.views.saved_views import MOST_VIEWS, own_views
from webapp.views.timeline_entries import Entry, timeline_entries
from webapp.views.words import gettext as _

MOST_FINDINGS = 20

blueprint = Blueprint("appointments", __name__, url_prefix="/appointments")


@blueprint.get("")
def index() -> ResponseReturnValue:
    filters = parse_filters(request.args)
    query = query_appointments(filters, clock.now(), company_zone())
    page = fetch_page(db.session(), query, lambda row: Cursor(0, row.starts_at, row.id))
    views, address = own_views(), urlencode(filters.as_query)
    return render_page(
        "appointments/index.html",
        page=page,
        filters=filters,
        links={
            period: f"{url_for('.index')}?{urlencode({'period': period, **filters.narrowing})}"
            for period in PERIODS
        },
        periods=PERIODS,
        sync_groups=SYNC_GROUPS,
        services=company_services(),
        views=views,
        address=address,
        tab=next((view.id for view in views if view.query == address), "list"),
        most_views=MOST_VIEWS,
    )


@blueprint.get("/<int:appointment_id>")
def show(appointment_id: int) -> ResponseReturnValue:
    return render_page("appointments/show.html", **describe(appointment_id))


@blueprint.get("/<int:appointment_id>/sync")
def sync(appointment_id: int) -> ResponseReturnValue:
    """What changes while Cal.com is being asked: the sync panel and the timeline; once it is
    over, what the whole page says of the appointment."""
    described = describe(appointment_id)
    name = "_sync" if described["is_working"] else "_at_rest"
    return render_template(f"appointments/{name}.html", now=clock.now(), **described)


@blueprint.post("/<int:appointment_id>/verifications")
@acting
def verify(appointment_id: int) -> ResponseReturnValue:
    appointment = find_or_404(Appointment, appointment_id)
    person = require_person()
    request_verification(db.session(), appointment, now=clock.now(), user_id=person.id)
    db.session.commit()
    enqueue_verification(person.company_id, appointment_id)
    return _answer(appointment_id, _("Verifying now."), "success")


@blueprint.post("/<int:appointment_id>/retries")
@settlers_only
def retry(appointment_id: int) -> ResponseReturnValue:
    appointment = find_or_404(Appointment, appointment_id)
    person = require_person()
    is_retried = request_retry(db.session(), appointment, now=clock.now(), user_id=person.id)
    db.session.commit()
    if not is_retried:
        return _answer(appointment_id, _("There is nothing to retry at the moment."), "info")
    enqueue_verification(person.company_id, appointment_id)
    return _answer(appointment_id, _("Verifying now."), "success")


@blueprint.get("/<int:appointment_id>/pushes")
@settlers_only
def confirm_push(appointment_id: int) -> ResponseReturnValue:
    appointment = find_appointment(appointment_id)
    return render_confirmation(
        "pushes",
        appointment,
        back=_back_to(appointment_id),
        mail=foresee_mail_of_pushing_again(db.session(), appointment),
    )


@blueprint.post("/<int:appointment_id>/pushes")
@settlers_only
def push(appointment_id: int) -> ResponseReturnValue:
    appointment = find_or_404(Appointment, appointment_id)
    person = require_person()
    change = push_again(db.session(), appointment, now=clock.now(), user_id=person.id)
    db.session.commit()
    if change is not None:
        enqueue_push(person.company_id, change.intent_id)
    if change is None:
        flash(_("There is nothing to push at the moment."), "info")
    else:
        flash(_("On its way to Cal.com."), "success")
    return htmx.see_other(_back_to(appointment_id))


def find_appointment(appointment_id: int) -> Appointment:
    """An appointment with its customer and service, or 404."""
    query = (
        select(Appointment)
        .where(Appointment.company_id == require_company_id(), Appointment.id == appointment_id)
        .options(joinedload(Appointment.customer), joinedload(Appointment.service))
    )
    found = db.session.scalar(query) if appointment_id <= LARGEST_ID else None
    return found or abort(404)


def describe(appointment_id: int) -> dict[str, Any]:
    """Everything the page of one appointment shows."""
    appointment = find_appointment(appointment_id)
    entries, is_cut = timeline_entries(db.session(), appointment_id)
    findings = _findings(appointment_id)
    discrepancy = next((each for each in findings if each.is_open), None)
    settled = [each for each in findings if not each.is_open]
    return {
        "appointment": appointment,
        "discrepancy": discrepancy,
        "settled": settled,
        "entries": entries,
        "is_cut": is_cut,
        "people": _names(entries, settled),
        "marks": marks_for(appointment, clock.now()),
        "is_working": is_being_worked_on(appointment),
        "poll_seconds": poll_seconds(appointment, clock.now()),
    }


def render_confirmation(name: str, appointment: Appointment, **context: Any) -> str:
    """A question before something that mails the customer: a page, or under htmx a dialog."""
    context = {"appointment": appointment, "question": name, **context}
    if htmx.is_htmx():
        return render_template(f"appointments/_{name}.html", in_dialog=True, **context)
    return render_page("appointments/confirm.html", in_dialog=False, **context)


def company_services() -> list[Service]:
    """All services, by name."""
    query = select(Service).where(Service.company_id == require_company_id())
    return list(db.session.scalars(query.order_by(Service.name, Service.id)))


def _answer(appointment_id: int, text: str, category: str) -> ResponseReturnValue:
    if htmx.is_htmx():
        return render_template("appointments/_sync.html", **describe(appointment_id))
    flash(text, category)
    return htmx.see_other(_back_to(appointment_id))


def _back_to(appointment_id: int) -> str:
    return url_for("appointments.show", appointment_id=appointment_id)


def _findings(appointment_id: int) -> list[Discrepancy]:
    """What was ever found about it, newest first: how it was settled is for the reader too."""
    query = (
        select(Discrepancy)
        .where(
            Discrepancy.company_id == require_company_id(),
            Discrepancy.appointment_id == appointment_id,
        )
        .order_by(Discrepancy.id.desc())
        .limit(MOST_FINDINGS)
    )
    return list(db.session.scalars(query))


def _names(entries: list[Entry], settled: list[Discrepancy]) -> dict[int, str]:
    """Who did it, by user id."""
    user_ids = {entry.user_id for entry in entries} | {
        finding.resolved_by_user_id for finding in settled
    }
    user_ids.discard(None)
    if not user_ids:
        return {}
    query = select(User.id, User.name).where(
        User.company_id == require_company_id(), User.id.in_(user_ids)
    )
    return {row.id: row.name for row in db.session.execute(query)}
