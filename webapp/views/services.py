"""Services: what is offered, as which event type it is booked, and where the two differ."""

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import enqueue_comparison
from webapp.models.company import Company
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.catalog import request_comparison
from webapp.sync.offerings import take_theirs
from webapp.views import htmx
from webapp.views.access import acting, find_or_404, require_person
from webapp.views.appointments import company_services
from webapp.views.pages import render_page
from webapp.views.words import gettext as _

blueprint = Blueprint("services", __name__, url_prefix="/services")


@blueprint.get("")
def index() -> ResponseReturnValue:
    return render_page("services/index.html", company=_company(), services=company_services())


@blueprint.get("/<int:service_id>")
def show(service_id: int) -> ResponseReturnValue:
    return render_page("services/show.html", service=find_or_404(Service, service_id))


@blueprint.post("/<int:service_id>/takeovers")
@acting
def take(service_id: int) -> ResponseReturnValue:
    """Let the service say what Cal.com says, in one field or in all that differ."""
    service = find_or_404(Service, service_id)
    taken = take_theirs(
        db.session(),
        service,
        request.form.get("field") or None,
        user_id=require_person().id,
        now=clock.now(),
    )
    db.session.commit()
    if taken:
        flash(_("Taken over from Cal.com. Nothing was sent there."), "success")
    else:
        flash(_("Nothing was changed: this no longer differs."), "info")
    return htmx.see_other(url_for(".show", service_id=service_id))


@blueprint.get("/comparison")
def comparison() -> ResponseReturnValue:
    """The list, which asks again by itself while it is being compared."""
    if not htmx.is_htmx():
        return htmx.see_other(url_for(".index"))
    return _render_list()


@blueprint.post("/comparisons")
@acting
def compare() -> ResponseReturnValue:
    is_begun = request_comparison(db.session(), now=clock.now())
    db.session.commit()
    if is_begun:
        enqueue_comparison(require_person().company_id)
    if htmx.is_htmx():
        return _render_list()
    if is_begun:
        flash(_("Comparison started."), "success")
    else:
        flash(_("The services are being compared already."), "info")
    return htmx.see_other(url_for(".index"))


def _render_list() -> str:
    return render_template(
        "services/_comparison.html", company=_company(), services=company_services()
    )


def _company() -> Company:
    return db.session.get_one(Company, require_company_id(), populate_existing=True)
