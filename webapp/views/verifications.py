"""Verify all now: a run over the company's appointments, and what became of the latest."""

from flask import Blueprint, flash, render_template, url_for
from flask.typing import ResponseReturnValue

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import enqueue_run
from webapp.models.run import RunScope, latest_run
from webapp.sync.runs import start_run
from webapp.views import htmx
from webapp.views.access import acting, require_person
from webapp.views.words import gettext as _

blueprint = Blueprint("verifications", __name__, url_prefix="/verifications")


@blueprint.post("")
@acting
def create() -> ResponseReturnValue:
    person = require_person()
    run_id = start_run(db.session(), scope=RunScope.REQUESTED, now=clock.now(), user_id=person.id)
    db.session.commit()
    if run_id is not None:
        enqueue_run(person.company_id, run_id)
    if htmx.is_htmx():
        return _render_latest(is_refused=run_id is None)
    if run_id is None:
        flash(_("A verification is already running."), "info")
    else:
        flash(_("Verification started."), "success")
    return htmx.see_other(url_for("overview.show"))


@blueprint.get("/latest")
def latest() -> ResponseReturnValue:
    """The latest run; asks again by itself while it is running."""
    return _render_latest(is_refused=False)


def _render_latest(*, is_refused: bool) -> str:
    run = latest_run(db.session())
    return render_template("overview/_verification.html", run=run, is_refused=is_refused)
