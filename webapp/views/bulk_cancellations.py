"""Cancelling many appointments: which, how many customers are mailed, the reason, then the start.
Watching, stopping and outcomes are those of every bulk action."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, flash, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.jobs.queues import enqueue_bulk
from webapp.models.appointment import Appointment
from webapp.models.tenancy import require_company_id
from webapp.sync.bulk_cancellations import Chosen, preview_cancellations, start_cancellations
from webapp.views import htmx
from webapp.views.access import acting, company_zone, id_or_404, require_person
from webapp.views.appointment_list import matching_appointments, parse_filters
from webapp.views.bulk_choice import SEARCHED
from webapp.views.formats import instant_from
from webapp.views.forms.appointments import CancellationForm
from webapp.views.pages import render_page
from webapp.views.words import gettext as _

blueprint = Blueprint("bulk_cancellations", __name__, url_prefix="/appointments/cancellations")

MOST_TICKED = 500


@blueprint.get("/new")
@acting
def new() -> ResponseReturnValue:
    """What would be done, before anything is."""
    now = clock.now()
    chosen = _chosen(request.args, now)
    if chosen is None:
        flash(_("Tick at least one appointment, or choose all that match."), "warning")
        return htmx.see_other(_back())
    return _preview(chosen, CancellationForm(), now)


@blueprint.post("")
@acting
def create() -> ResponseReturnValue:
    """Freeze what the preview showed: what was booked since then is not in it."""
    person, now = require_person(), clock.now()
    shown_at = min(instant_from(request.form.get("shown_at")) or abort(400), now)
    chosen = _chosen(request.form, shown_at)
    if chosen is None:
        abort(400)
    form = CancellationForm(request.form)
    if not form.validate():
        return _preview(chosen, form, shown_at), 422
    bulk_action_id = start_cancellations(
        db.session(),
        chosen.where(Appointment.created_at <= shown_at),
        now=now,
        most=settings().bulk_most_items,
        user_id=person.id,
        reason=form.reason.data or "",
        scope=_scope(),
    )
    db.session.commit()
    if bulk_action_id is None:
        flash(_("Nothing was started: none of them can be cancelled any more."), "info")
        return htmx.see_other(url_for("appointments.index"))
    enqueue_bulk(person.company_id, bulk_action_id)
    return htmx.see_other(url_for("bulk_actions.show", bulk_action_id=bulk_action_id))


def _preview(chosen: Chosen, form: CancellationForm, now: datetime) -> str:
    most = settings().bulk_most_items
    return render_page(
        "appointments/bulk.html",
        preview=preview_cancellations(db.session(), chosen, now=now, most=most),
        form=form,
        shown_at=now.isoformat(),
        scope=request.values.get("scope", "ticked"),
        ids=request.values.getlist("appointment")[:MOST_TICKED],
        filters=_filters(),
    )


def _chosen(args: Any, now: datetime) -> Chosen | None:
    """The ticked appointments, or all that the filters match; None where nothing is ticked.

    A stranger's id among the ticked is 404, as everywhere.
    """
    if args.get("scope") == "matching":
        return matching_appointments(parse_filters(args), now, company_zone())
    ids = {id_or_404(text) for text in args.getlist("appointment")[:MOST_TICKED]}
    if not ids:
        return None
    own = select(Appointment).where(
        Appointment.company_id == require_company_id(), Appointment.id.in_(ids)
    )
    count = select(func.count()).select_from(own.with_only_columns(Appointment.id).subquery())
    return own if db.session.scalar(count) == len(ids) else abort(404)


def _back() -> str:
    return f"{url_for('appointments.index')}?{urlencode(_filters())}"


def _filters() -> dict[str, str]:
    return parse_filters(request.values).as_query


def _scope() -> dict[str, Any]:
    """What is kept of the choice, to be shown: no names that were looked for."""
    if request.form.get("scope") != "matching":
        return {"ticked": len(request.form.getlist("appointment"))}
    kept = _filters()
    is_searched = {SEARCHED: True} if kept.pop("text", "") else {}
    return {"filters": kept, **is_searched}
