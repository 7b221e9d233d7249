"""The services: what is offered, as which event type it is booked, and where the two differ."""

from flask import Blueprint, flash, render_template, url_for
from flask.typing import ResponseReturnValue

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import enqueue_comparison
from webapp.models.company import Company
from webapp.models.tenancy import require_company_id
from webapp.sync.catalog import request_comparison
from webapp.views import htmx
from webapp.views.access import acting, require_person
from webapp.views.appointments import company_services
from webapp.views.pages import render_page
from webapp.views.words import gettext as _

blueprint = Blueprint("services", __name__, url_prefix="/services")


@blueprint.get("")
def index() -> ResponseReturnValue:
    return render_page("services/index.html", company=_company(), services=company_services())


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
