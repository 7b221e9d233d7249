"""The Cal.com Sync button: the question it asks, the wish it makes, and how that stands (S8)."""

from flask import Blueprint, flash, render_template, url_for
from flask.typing import ResponseReturnValue

from webapp import clock
from webapp.extensions import db
from webapp.jobs.service_sync import begin_sync
from webapp.models.service import Service, ServiceSync
from webapp.sync.service_sync import Asked, request_sync
from webapp.views import htmx
from webapp.views.access import acting, find_or_404, require_person
from webapp.views.pages import render_page
from webapp.views.words import gettext as _

blueprint = Blueprint("service_syncs", __name__, url_prefix="/services/<int:service_id>")


@blueprint.get("/sync")
def state(service_id: int) -> ResponseReturnValue:
    """How it stands; asks again by itself while it is on its way."""
    service = find_or_404(Service, service_id)
    if not htmx.is_htmx():
        return htmx.see_other(url_for("services.show", service_id=service_id))
    is_over = service.sync_status is not ServiceSync.PENDING and service.calcom_event_type_id
    return render_template(f"services/{'_at_rest' if is_over else '_sync'}.html", service=service)


@blueprint.get("/syncs")
@acting
def confirm(service_id: int) -> ResponseReturnValue:
    """What would be written, before it is."""
    service = find_or_404(Service, service_id)
    status = 422 if service.calcom_event_type_id is None else 200
    if htmx.is_htmx():
        return render_template("services/_syncs.html", service=service), status
    return render_page("services/sync.html", service=service), status


@blueprint.post("/syncs")
@acting
def start(service_id: int) -> ResponseReturnValue:
    service = find_or_404(Service, service_id)
    asked = request_sync(db.session(), service.id, user_id=require_person().id, now=clock.now())
    db.session.commit()
    if asked is Asked.STARTED:
        _say_started(begin_sync(service_id))
    elif asked is Asked.RUNNING:
        flash(_("Synchronisation is already running"), "info")
    else:
        flash(_("This service has no Cal.com event type ID"), "error")
    return htmx.see_other(url_for("services.show", service_id=service_id))


def _say_started(is_queued: bool) -> None:
    if is_queued:
        flash(_("Synchronisation started"), "success")
    else:
        flash(_("Synchronisation failed"), "error")
