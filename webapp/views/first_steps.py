"""The first-run guide: from an API key to the first appointment that is in step. Each step shows
what is there; whoever leaves goes on where they were."""

from flask import Blueprint, flash, render_template, url_for
from flask.typing import ResponseReturnValue

from webapp import clock
from webapp.calcom.errors import CalcomError
from webapp.calcom.payloads import EventType
from webapp.extensions import db
from webapp.jobs.event_types import ask_event_types
from webapp.jobs.queues import enqueue_run
from webapp.models.company import Company
from webapp.models.tenancy import require_company_id
from webapp.sync.first_steps import FirstSteps, read_first_steps, start_import
from webapp.sync.offerings import services_by_event_type
from webapp.views import htmx
from webapp.views.access import admins_only, require_person
from webapp.views.connection_settings import webhook_address
from webapp.views.forms.settings import ConnectionForm
from webapp.views.pages import render_page
from webapp.views.words import gettext as _

blueprint = Blueprint("first_steps", __name__, url_prefix="/first-steps")


@blueprint.get("")
@admins_only
def show() -> ResponseReturnValue:
    steps = read_first_steps(db.session())
    event_types, error_code = _event_types(steps)
    return render_page(
        "first_steps/show.html",
        steps=steps,
        form=ConnectionForm(data={"base_url": _company().calcom_base_url}),
        event_types=event_types,
        error_code=error_code,
        used=services_by_event_type(db.session()),
        webhook_address=webhook_address(),
    )


@blueprint.get("/progress")
@admins_only
def progress() -> ResponseReturnValue:
    """The last two steps, which ask again by themselves until they are done."""
    if not htmx.is_htmx():
        return htmx.see_other(url_for(".show"))
    return render_template(
        "first_steps/_progress.html",
        steps=read_first_steps(db.session()),
        webhook_address=webhook_address(),
    )


@blueprint.post("/imports")
@admins_only
def begin_import() -> ResponseReturnValue:
    person = require_person()
    run_id = start_import(db.session(), user_id=person.id, now=clock.now())
    db.session.commit()
    if run_id is None:
        flash(_("A verification is already running."), "info")
    else:
        enqueue_run(person.company_id, run_id)
    return htmx.see_other(url_for(".show"))


def _event_types(steps: FirstSteps) -> tuple[tuple[EventType, ...], str | None]:
    """What there is to make services of, while that is the step at hand."""
    if steps.current != "services":
        return (), None
    try:
        return ask_event_types(), None
    except CalcomError as error:
        return (), error.code


def _company() -> Company:
    return db.session.get_one(Company, require_company_id())
