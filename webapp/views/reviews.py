"""The review queue: what is open and why, a row that watches itself, and everything as a file."""

from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import Appointment, Origin
from webapp.models.audit import Actor, record_audit
from webapp.models.discrepancy import Action, Discrepancy, DiscrepancyType, Resolution
from webapp.models.sync_state import SyncState
from webapp.sync.actions import actions_for, suggest
from webapp.views import htmx
from webapp.views.access import LARGEST_ID, acting, current_person, may_settle, require_person
from webapp.views.appointments import company_services
from webapp.views.explanations import EXPLANATIONS
from webapp.views.findings_file import queue_file
from webapp.views.pages import count_unread, render_page
from webapp.views.progress import is_being_worked_on, is_slow, poll_seconds
from webapp.views.review_queue import (
    AGES,
    COUNTED_UP_TO,
    count_queue,
    fetch_queue,
    find_finding,
    matching,
    parse_queue_filters,
)

blueprint = Blueprint("reviews", __name__, url_prefix="/reviews")


@blueprint.get("")
def index() -> ResponseReturnValue:
    filters, now = parse_queue_filters(request.args), clock.now()
    return render_page(
        "reviews/index.html",
        page=fetch_queue(db.session(), filters, now),
        count=count_queue(db.session(), filters, now),
        counted_up_to=COUNTED_UP_TO,
        filters=filters,
        types=list(DiscrepancyType),
        codes=sorted(EXPLANATIONS),
        origins=list(Origin),
        services=company_services(),
        ages=AGES,
        actions=list(Action),
        progress_of=progress_of,
        queue=request.query_string.decode(errors="replace") or None,
    )


@blueprint.get("/<int:discrepancy_id>")
def row(discrepancy_id: int) -> ResponseReturnValue:
    """One row, as the page shows it; asks again by itself while something is under way."""
    finding = find_or_absent(discrepancy_id)
    if not htmx.is_htmx():
        return htmx.see_other(_back_to(finding.appointment))
    return render_row(finding, says_outcome=True)


@blueprint.post("/exports")
@acting
def export() -> ResponseReturnValue:
    """Everything the filters match, as a file; that it was taken stands in the audit log."""
    filters, now, person = parse_queue_filters(request.form), clock.now(), require_person()
    ids = matching(filters, now).with_only_columns(Discrepancy.id).subquery()
    narrowed_by = filters.as_query
    record_audit(
        db.session(),
        "reviews.exported",
        "reviews",
        at=now,
        actor=Actor.USER,
        user_id=person.id,
        rows=db.session.scalar(select(func.count()).select_from(ids)),
        # What was looked for may be a customer's name: that it was is enough.
        filters={name: value for name, value in narrowed_by.items() if name != "text"},
        is_searched="text" in narrowed_by,
    )
    db.session.commit()
    return queue_file(filters, now)


def progress_of(finding: Discrepancy, *, says_outcome: bool = False) -> dict[str, object]:
    """What a row says between a click and its result, whether it asks again, what it offers."""
    appointment, now = finding.appointment, clock.now()
    is_working = finding.is_open and is_being_worked_on(appointment)
    is_settled = not finding.is_open and not appointment.requires_manual_review
    person = current_person()
    offered = () if is_working or person is None or not may_settle(person) else _offered(finding)
    return {
        "is_working": is_working,
        "is_pushing": appointment.calcom_sync_status is SyncState.PENDING,
        "is_slow": is_slow(appointment, now),
        "is_settled": is_settled,
        "is_dismissed": is_settled and finding.resolution is Resolution.DISMISSED,
        "is_still_open": says_outcome and not is_working and not is_settled,
        "poll_seconds": poll_seconds(appointment, now),
        "offered": offered,
        "suggested": suggest(finding, appointment, now),
    }


def render_row(finding: Discrepancy, *, note: str = "", says_outcome: bool = False) -> str:
    progress = progress_of(finding, says_outcome=says_outcome)
    return render_template(
        "reviews/_answer.html",
        finding=finding,
        progress=progress,
        note=note,
        unread=count_unread(),
    )


def find_or_absent(discrepancy_id: int) -> Discrepancy:
    """A finding of the reader's company with its appointment, or 404."""
    found = find_finding(db.session(), discrepancy_id) if discrepancy_id <= LARGEST_ID else None
    return found or abort(404)


def _offered(finding: Discrepancy) -> tuple[Action, ...]:
    return actions_for(finding, finding.appointment, clock.now())


def _back_to(appointment: Appointment) -> str:
    return url_for("appointments.show", appointment_id=appointment.id)
