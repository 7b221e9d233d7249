"""The review queue: what is open, and putting it right with one click."""

from flask import Blueprint, abort, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import enqueue_push, enqueue_verification
from webapp.models.appointment import Appointment
from webapp.models.discrepancy import Discrepancy, DiscrepancyType
from webapp.models.sync_state import SyncState
from webapp.sync.mailing import foresee_mail_of_pushing_again
from webapp.sync.review import push_again, request_retry
from webapp.views import htmx
from webapp.views.access import LARGEST_ID, require_person, settling
from webapp.views.appointments import render_confirmation
from webapp.views.pages import count_unread, render_page
from webapp.views.progress import is_being_worked_on, is_slow, poll_seconds
from webapp.views.review_queue import (
    COUNTED_UP_TO,
    count_queue,
    fetch_queue,
    find_finding,
    parse_queue_filters,
)
from webapp.views.words import gettext as _

blueprint = Blueprint("reviews", __name__, url_prefix="/reviews")


@blueprint.get("")
def index() -> ResponseReturnValue:
    filters = parse_queue_filters(request.args)
    return render_page(
        "reviews/index.html",
        page=fetch_queue(db.session(), filters),
        count=count_queue(db.session(), filters),
        counted_up_to=COUNTED_UP_TO,
        filters=filters,
        types=list(DiscrepancyType),
        progress_of=progress_of,
    )


@blueprint.get("/<int:discrepancy_id>")
def row(discrepancy_id: int) -> ResponseReturnValue:
    """One row, as the page shows it; asks again by itself while something is under way."""
    finding = _find(discrepancy_id)
    if not htmx.is_htmx():
        return htmx.see_other(_back_to(finding.appointment))
    return _render_row(finding, says_outcome=True)


@blueprint.post("/<int:discrepancy_id>/retries")
@settling
def retry(discrepancy_id: int) -> ResponseReturnValue:
    appointment, person = _find(discrepancy_id).appointment, require_person()
    is_retried = request_retry(db.session(), appointment, now=clock.now(), user_id=person.id)
    db.session.commit()
    if is_retried:
        enqueue_verification(person.company_id, appointment.id)
    if htmx.is_htmx():
        return _render_row(_find(discrepancy_id), note="" if is_retried else _nothing_to_do())
    flash(_("Verifying now.") if is_retried else _nothing_to_do(), "info")
    return htmx.see_other(url_for(".index"))


@blueprint.get("/<int:discrepancy_id>/pushes")
@settling
def confirm_push(discrepancy_id: int) -> ResponseReturnValue:
    finding = _find(discrepancy_id)
    return render_confirmation(
        "pushes",
        finding.appointment,
        back=url_for(".index"),
        discrepancy_id=discrepancy_id,
        mail=foresee_mail_of_pushing_again(db.session(), finding.appointment),
    )


@blueprint.post("/<int:discrepancy_id>/pushes")
@settling
def push(discrepancy_id: int) -> ResponseReturnValue:
    appointment, person = _find(discrepancy_id).appointment, require_person()
    change = push_again(db.session(), appointment, now=clock.now(), user_id=person.id)
    db.session.commit()
    if change is not None:
        enqueue_push(person.company_id, change.intent_id)
    if htmx.is_htmx():
        return _render_row(_find(discrepancy_id), note="" if change else _nothing_to_do())
    flash(_("On its way to Cal.com.") if change else _nothing_to_do(), "info")
    return htmx.see_other(url_for(".index"))


def progress_of(finding: Discrepancy, *, says_outcome: bool = False) -> dict[str, object]:
    """What a row says between a click and its result, and whether it asks again."""
    appointment, now = finding.appointment, clock.now()
    is_working = finding.resolved_at is None and is_being_worked_on(appointment)
    is_settled = finding.resolved_at is not None and not appointment.requires_manual_review
    return {
        "is_working": is_working,
        "is_pushing": appointment.calcom_sync_status is SyncState.PENDING,
        "is_slow": is_slow(appointment, now),
        "is_settled": is_settled,
        "is_still_open": says_outcome and not is_working and not is_settled,
        "poll_seconds": poll_seconds(appointment, now),
    }


def _render_row(finding: Discrepancy, *, note: str = "", says_outcome: bool = False) -> str:
    progress = progress_of(finding, says_outcome=says_outcome)
    return render_template(
        "reviews/_answer.html",
        finding=finding,
        progress=progress,
        note=note,
        unread=count_unread(),
    )


def _find(discrepancy_id: int) -> Discrepancy:
    found = find_finding(db.session(), discrepancy_id) if discrepancy_id <= LARGEST_ID else None
    return found or abort(404)


def _back_to(appointment: Appointment) -> str:
    return url_for("appointments.show", appointment_id=appointment.id)


def _nothing_to_do() -> str:
    return _("Nothing was started: it is being worked on already, or has been settled.")
