"""Bulk actions: what one would do, starting it, watching and stopping it, its outcomes."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.jobs.queues import enqueue_bulk
from webapp.models.bulk import BulkAction, BulkItem, BulkKind, ItemStatus, count_items
from webapp.models.discrepancy import Action, Discrepancy
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.sync.actions import NEEDS_REASON
from webapp.sync.bulk import cancel_bulk, preview_bulk, start_bulk
from webapp.views import htmx
from webapp.views.access import acting, find_or_404, id_or_404, require_person, settlers_only
from webapp.views.bulk_choice import SEARCHED, describe_choice
from webapp.views.findings_file import bulk_file
from webapp.views.formats import instant_from
from webapp.views.forms.appointments import CancellationForm, DismissalForm, ReasonForm
from webapp.views.pages import render_page
from webapp.views.paging import PAGE_SIZE, Cursor, Page, behind, cut_page, fetch_page, parse_cursor
from webapp.views.review_queue import are_all_ours, matching, parse_queue_filters, selected
from webapp.views.words import gettext as _

blueprint = Blueprint("bulk_actions", __name__, url_prefix="/bulk-actions")

MOST_TICKED = 500


@blueprint.get("")
def index() -> ResponseReturnValue:
    query = select(BulkAction).where(BulkAction.company_id == require_company_id())
    cursor = parse_cursor(request.args.get("after"))
    if cursor is not None:
        keys = (BulkAction.created_at, BulkAction.id)
        query = query.where(behind(keys, cursor, descending=True))
    query = query.order_by(BulkAction.created_at.desc(), BulkAction.id.desc())
    page = fetch_page(db.session(), query, lambda row: Cursor(0, row.created_at, row.id))
    return render_page("bulk/index.html", page=page, people=_names(page.rows))


@blueprint.get("/new")
@settlers_only
def new() -> ResponseReturnValue:
    """What would be done, before anything is."""
    kind = _kind(request.args.get("kind", ""))
    if kind is None:
        flash(_("Choose what is to be done with them."), "warning")
        return htmx.see_other(_back_to_queue())
    chosen = _chosen(request.args, clock.now())
    if chosen is None:
        flash(_("Tick at least one finding, or choose all that match."), "warning")
        return htmx.see_other(_back_to_queue())
    return _preview(kind, chosen, _form_of(kind, None), clock.now())


@blueprint.post("")
@settlers_only
def create() -> ResponseReturnValue:
    """Freeze what the preview showed: what was found since then is not in it."""
    kind = _kind(request.form.get("kind", "")) or abort(400)
    person, now = require_person(), clock.now()
    shown_at = min(instant_from(request.form.get("shown_at")) or abort(400), now)
    chosen = _chosen(request.form, shown_at)
    if chosen is None:
        abort(400)
    form = _form_of(kind, request.form)
    if form is not None and not form.validate():
        return _preview(kind, chosen, form, shown_at), 422
    bulk_action_id = start_bulk(
        db.session(),
        chosen.where(Discrepancy.opened_at <= shown_at),
        kind,
        now=now,
        most=settings().bulk_most_items,
        user_id=person.id,
        note=form.reason.data if form is not None else None,
        scope=_scope(),
    )
    db.session.commit()
    if bulk_action_id is None:
        flash(_("Nothing was started: everything has been settled meanwhile."), "info")
        return htmx.see_other(url_for("reviews.index"))
    enqueue_bulk(person.company_id, bulk_action_id)
    return htmx.see_other(url_for(".show", bulk_action_id=bulk_action_id))


@blueprint.get("/<int:bulk_action_id>")
def show(bulk_action_id: int) -> ResponseReturnValue:
    bulk = find_or_404(BulkAction, bulk_action_id)
    return render_page(
        "bulk/show.html",
        page=_items(bulk_action_id),
        people=_names([bulk]),
        choice=describe_choice(bulk),
        **_progress(bulk),
    )


@blueprint.get("/<int:bulk_action_id>/progress")
def progress(bulk_action_id: int) -> ResponseReturnValue:
    """How far it is; asks again by itself until it has ended, and then brings the outcomes along,
    which the page shows as they were."""
    bulk = find_or_404(BulkAction, bulk_action_id)
    if bulk.is_running:
        return render_template("bulk/_progress.html", **_progress(bulk))
    return render_template("bulk/_ended.html", page=_items(bulk_action_id), **_progress(bulk))


@blueprint.get("/<int:bulk_action_id>/outcomes")
def outcomes(bulk_action_id: int) -> ResponseReturnValue:
    find_or_404(BulkAction, bulk_action_id)
    return bulk_file(bulk_action_id)


@blueprint.post("/<int:bulk_action_id>/cancellation")
@acting
def cancel(bulk_action_id: int) -> ResponseReturnValue:
    bulk, person = find_or_404(BulkAction, bulk_action_id), require_person()
    if not may_stop(bulk):
        abort(403)
    is_cancelled = cancel_bulk(db.session(), bulk_action_id, now=clock.now(), user_id=person.id)
    db.session.commit()
    if is_cancelled:
        enqueue_bulk(person.company_id, bulk_action_id)
    if htmx.is_htmx():
        db.session.expire_all()
        return progress(bulk_action_id)
    said = _("Stopped. What has begun is seen through.") if is_cancelled else _("It had ended.")
    flash(said, "info")
    return htmx.see_other(url_for(".show", bulk_action_id=bulk_action_id))


def may_stop(bulk: BulkAction) -> bool:
    """Who may begin such a bulk action may stop one."""
    person = require_person()
    return person.may_act if bulk.kind is BulkKind.CANCEL else person.may_settle


def _preview(
    kind: Action, chosen: Select[Discrepancy], form: ReasonForm | None, now: datetime
) -> str:
    return render_page(
        "bulk/new.html",
        kind=kind,
        preview=preview_bulk(db.session(), chosen, kind, now=now, most=settings().bulk_most_items),
        form=form,
        shown_at=now.isoformat(),
        scope=request.values.get("scope"),
        ids=request.values.getlist("id"),
        filters=_filters(request.values),
    )


def _chosen(args: Any, now: datetime) -> Select[Discrepancy] | None:
    """The ticked findings, or all that the filters match; None where nothing is ticked.

    A stranger's id among the ticked is 404, as everywhere.
    """
    if args.get("scope") == "matching":
        return matching(parse_queue_filters(args), now)
    ids = [id_or_404(text) for text in args.getlist("id")[:MOST_TICKED]]
    if not ids:
        return None
    return selected(ids) if are_all_ours(db.session(), ids) else abort(404)


def _scope() -> dict[str, Any]:
    """What is kept of the choice, to be shown: no names that were looked for."""
    if request.form.get("scope") != "matching":
        return {"ticked": len(request.form.getlist("id"))}
    kept = _filters(request.form)
    is_searched = {SEARCHED: True} if kept.pop("text", "") else {}
    return {"filters": kept, **is_searched}


def _back_to_queue() -> str:
    address: str = url_for("reviews.index")
    kept = urlencode(_filters(request.args))
    return f"{address}?{kept}" if kept else address


def _filters(args: Any) -> dict[str, str]:
    return parse_queue_filters(args).as_query


def _kind(text: str) -> Action | None:
    return Action(text) if text in set(Action) else None


def _form_of(kind: Action, given: Any) -> ReasonForm | None:
    if kind not in NEEDS_REASON:
        return None
    return DismissalForm(given) if kind is Action.DISMISS else CancellationForm(given)


def _progress(bulk: BulkAction) -> dict[str, Any]:
    counts = count_items(db.session(), bulk.id)
    left = counts[ItemStatus.QUEUED] + counts[ItemStatus.STARTED]
    return {
        "bulk": bulk,
        "counts": counts,
        "ended": bulk.item_count - left,
        "status": request.args.get("status", ""),
        "may_stop": may_stop(bulk),
    }


def _items(bulk_action_id: int) -> Page[BulkItem]:
    """A page of them, those that stand where the address asks for."""
    status = request.args.get("status", "")
    query = (
        select(BulkItem)
        .outerjoin(BulkItem.discrepancy)
        .where(
            BulkItem.company_id == require_company_id(), BulkItem.bulk_action_id == bulk_action_id
        )
        .options(contains_eager(BulkItem.discrepancy))
        .order_by(BulkItem.id)
        .limit(PAGE_SIZE + 1)
    )
    if status in set(ItemStatus):
        query = query.where(BulkItem.status == ItemStatus(status))
    cursor = parse_cursor(request.args.get("after"))
    if cursor is not None:
        query = query.where(BulkItem.id > cursor.id)
    rows = db.session.scalars(query).all()
    return cut_page(rows, lambda row: Cursor(0, clock.now(), row.id))


def _names(rows: Any) -> dict[int, str]:
    """Who started or cancelled them, by user id."""
    user_ids = {row.requested_by_user_id for row in rows}
    user_ids |= {row.cancelled_by_user_id for row in rows if row.cancelled_by_user_id}
    query = select(User.id, User.name).where(
        User.company_id == require_company_id(), User.id.in_(user_ids)
    )
    return {row.id: row.name for row in db.session.execute(query)}
