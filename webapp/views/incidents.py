"""Incidents: what can't be relied on, with the evidence and the two ways out (S5.6)."""

from datetime import datetime
from typing import Protocol

from flask import Blueprint, abort, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import enqueue_run
from webapp.models.appointment import Appointment
from webapp.models.incident import Incident, IncidentCause
from webapp.models.run import Run, running_run
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.sync.incidents import Settled, flag_them, run_again
from webapp.views import htmx
from webapp.views.access import find_or_404, require_person, settlers_only
from webapp.views.pages import render_page
from webapp.views.paging import Cursor, behind, fetch_page, parse_cursor
from webapp.views.words import gettext as _

blueprint = Blueprint("incidents", __name__, url_prefix="/incidents")


@blueprint.get("")
def index() -> ResponseReturnValue:
    query = (
        select(Incident)
        .where(Incident.company_id == require_company_id())
        .order_by(Incident.opened_at.desc(), Incident.id.desc())
    )
    cursor = parse_cursor(request.args.get("after"))
    if cursor is not None:
        query = query.where(behind((Incident.opened_at, Incident.id), cursor, descending=True))
    page = fetch_page(db.session(), query, lambda row: Cursor(0, row.opened_at, row.id))
    return render_page("incidents/index.html", page=page)


@blueprint.get("/<int:incident_id>")
def show(incident_id: int) -> ResponseReturnValue:
    incident = find_or_404(Incident, incident_id)
    return render_page(
        "incidents/show.html",
        incident=incident,
        run=_run_of(incident),
        sample=_sample(incident),
        settled_by=_name(incident.settled_by_user_id),
        may_flag=may_flag(incident),
    )


@blueprint.post("/<int:incident_id>/runs")
@settlers_only
def run(incident_id: int) -> ResponseReturnValue:
    """The first way out: look anew, with the brake on."""
    return _leave(find_or_404(Incident, incident_id), run_again)


@blueprint.get("/<int:incident_id>/flaggings")
@settlers_only
def confirm_flagging(incident_id: int) -> ResponseReturnValue:
    incident = _find_to_flag(incident_id)
    if htmx.is_htmx():
        return render_template("incidents/_flaggings.html", incident=incident)
    return render_page("incidents/confirm.html", incident=incident)


@blueprint.post("/<int:incident_id>/flaggings")
@settlers_only
def flag(incident_id: int) -> ResponseReturnValue:
    """The second way out: I have looked."""
    return _leave(_find_to_flag(incident_id), flag_them)


def _find_to_flag(incident_id: int) -> Incident:
    """Another account becomes the company's by this: that is its connection, an admin's."""
    incident = find_or_404(Incident, incident_id)
    if not may_flag(incident):
        abort(403)
    return incident


def may_flag(incident: Incident) -> bool:
    is_account = incident.evidence.get("cause") == IncidentCause.OTHER_ACCOUNT
    person = require_person()
    return person.is_admin if is_account else person.may_settle


class WayOut(Protocol):
    def __call__(
        self, session: Session, incident_id: int, *, now: datetime, user_id: int | None
    ) -> Settled | None: ...


def _leave(incident: Incident, way_out: WayOut) -> ResponseReturnValue:
    person = require_person()
    settled = way_out(db.session(), incident.id, now=clock.now(), user_id=person.id)
    db.session.commit()
    if settled is None:
        return _say_why_not(incident)
    enqueue_run(person.company_id, settled.run_id)
    flash(_("Verification started."), "success")
    return htmx.see_other(url_for("runs.show", run_id=settled.run_id))


def _say_why_not(incident: Incident) -> ResponseReturnValue:
    running = running_run(db.session())
    if incident.is_open and running is not None:
        flash(_("Nothing was started: this verification is running."), "info")
        return htmx.see_other(url_for("runs.show", run_id=running.id))
    flash(_("Nothing was started: this incident is settled already."), "info")
    return htmx.see_other(url_for(".show", incident_id=incident.id))


def _run_of(incident: Incident) -> Run | None:
    """The run that braked; runs are cleaned up one day, incidents stay."""
    if incident.run_id is None:
        return None
    return db.session.get(Run, (require_company_id(), incident.run_id))


def _sample(incident: Incident) -> list[Appointment]:
    ids = incident.evidence.get("sample") or []
    query = (
        select(Appointment)
        .where(Appointment.company_id == require_company_id(), Appointment.id.in_(ids))
        .options(joinedload(Appointment.customer), joinedload(Appointment.service))
        .order_by(Appointment.starts_at, Appointment.id)
    )
    return list(db.session.scalars(query)) if ids else []


def _name(user_id: int | None) -> str | None:
    if user_id is None:
        return None
    return db.session.scalar(
        select(User.name).where(User.company_id == require_company_id(), User.id == user_id)
    )
