"""Incidents: what can't be relied on, with the evidence and the two ways out (S5.6)."""

from datetime import datetime
from typing import Protocol

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import enqueue_run
from webapp.models.appointment import Appointment
from webapp.models.incident import Incident
from webapp.models.run import Run
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.sync.incidents import Settled, flag_them, run_again
from webapp.views import htmx
from webapp.views.access import acting, find_or_404, require_person
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
    )


@blueprint.post("/<int:incident_id>/runs")
@acting
def run(incident_id: int) -> ResponseReturnValue:
    """The first way out: look anew, with the brake on."""
    return _leave(incident_id, run_again)


@blueprint.get("/<int:incident_id>/flaggings")
@acting
def confirm_flagging(incident_id: int) -> ResponseReturnValue:
    incident = find_or_404(Incident, incident_id)
    if htmx.is_htmx():
        return render_template("incidents/_flaggings.html", incident=incident)
    return render_page("incidents/confirm.html", incident=incident)


@blueprint.post("/<int:incident_id>/flaggings")
@acting
def flag(incident_id: int) -> ResponseReturnValue:
    """The second way out: I have looked."""
    return _leave(incident_id, flag_them)


class WayOut(Protocol):
    def __call__(
        self, session: Session, incident_id: int, *, now: datetime, user_id: int | None
    ) -> Settled | None: ...


def _leave(incident_id: int, way_out: WayOut) -> ResponseReturnValue:
    find_or_404(Incident, incident_id)
    person = require_person()
    settled = way_out(db.session(), incident_id, now=clock.now(), user_id=person.id)
    db.session.commit()
    if settled is None:
        flash(
            _("Nothing was started: it is settled already, or a verification is running."), "info"
        )
        return htmx.see_other(url_for(".show", incident_id=incident_id))
    enqueue_run(person.company_id, settled.run_id)
    flash(_("Verification started."), "success")
    return htmx.see_other(url_for("runs.show", run_id=settled.run_id))


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
