"""Verification runs: the list, and one with its figures: watched while it works, and stopped."""

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import enqueue_run
from webapp.models.run import Run, RunScope
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.sync.runs import request_stop, start_run
from webapp.views import htmx
from webapp.views.access import acting, find_or_404, require_person
from webapp.views.pages import render_page
from webapp.views.paging import Cursor, behind, fetch_page, parse_cursor
from webapp.views.words import gettext as _

blueprint = Blueprint("runs", __name__, url_prefix="/runs")

KINDS: dict[str, LazyString] = {
    "windows": _l("Verifications"),
    "changes": _l("Looks at changes"),
    "all": _l("All"),
}
"""What the list shows: a look at changes comes every few minutes and would hide the others."""


@blueprint.get("")
def index() -> ResponseReturnValue:
    kind = request.args.get("kind", "windows")
    page = fetch_page(
        db.session(),
        _query(kind if kind in KINDS else "windows", request.args.get("after")),
        lambda run: Cursor(0, run.started_at, run.id),
    )
    return render_page("runs/index.html", page=page, kinds=KINDS, kind=kind)


@blueprint.post("")
@acting
def start() -> ResponseReturnValue:
    """Verify everything now; then watch it."""
    person = require_person()
    run_id = start_run(db.session(), scope=RunScope.REQUESTED, now=clock.now(), user_id=person.id)
    db.session.commit()
    if run_id is None:
        flash(_("A verification is already running."), "info")
        return htmx.see_other(url_for(".index"))
    enqueue_run(person.company_id, run_id)
    flash(_("Verification started."), "success")
    return htmx.see_other(url_for(".show", run_id=run_id))


@blueprint.get("/<int:run_id>")
def show(run_id: int) -> ResponseReturnValue:
    run = find_or_404(Run, run_id)
    return render_page("runs/show.html", run=run, people=_people(run))


@blueprint.get("/<int:run_id>/progress")
def progress(run_id: int) -> ResponseReturnValue:
    """What changes while it works; asks again by itself until it is over."""
    run = find_or_404(Run, run_id)
    if not htmx.is_htmx():
        return htmx.see_other(url_for(".show", run_id=run_id))
    return render_template("runs/_run.html", run=run, people=_people(run))


@blueprint.post("/<int:run_id>/stops")
@acting
def stop(run_id: int) -> ResponseReturnValue:
    find_or_404(Run, run_id)
    is_asked = request_stop(db.session(), run_id, now=clock.now(), user_id=require_person().id)
    db.session.commit()
    if htmx.is_htmx():
        return progress(run_id)
    if is_asked:
        flash(_("It stops after what it has at hand."), "success")
    else:
        flash(_("This verification is over already."), "info")
    return htmx.see_other(url_for(".show", run_id=run_id))


def _query(kind: str, after: str | None) -> Select[Run]:
    query = select(Run).where(Run.company_id == require_company_id())
    if kind != "all":
        is_delta = Run.scope == RunScope.DELTA
        query = query.where(is_delta if kind == "changes" else ~is_delta)
    cursor = parse_cursor(after)
    if cursor is not None:
        query = query.where(behind((Run.started_at, Run.id), cursor, descending=True))
    return query.order_by(Run.started_at.desc(), Run.id.desc())


def _people(run: Run) -> dict[int, str]:
    """Who started and who stopped it, by user id."""
    wanted = {run.requested_by_user_id, run.stop_requested_by_user_id} - {None}
    if not wanted:
        return {}
    query = select(User.id, User.name).where(
        User.company_id == require_company_id(), User.id.in_(wanted)
    )
    return {row.id: row.name for row in db.session.execute(query)}
