"""The overview: is all well, and if not, where."""

from typing import Any

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from webapp import clock
from webapp.extensions import db
from webapp.insight.stats import count_cards, window_first_day
from webapp.models.appointment import LIVE, Appointment
from webapp.models.company import Company, ConnectionState
from webapp.models.history import HistoryEvent
from webapp.models.incident import open_incidents
from webapp.models.run import latest_run
from webapp.models.tenancy import require_company_id
from webapp.sync.first_steps import needs_first_steps
from webapp.views.access import company_zone, require_person
from webapp.views.pages import count_unread, render_page

blueprint = Blueprint("overview", __name__)

ACTIVITY_ROWS = 8
UPCOMING_ROWS = 6

CARDS: tuple[tuple[str, LazyString, LazyString, str, str], ...] = (
    ("synced", _l("Synced appointments"), _l("Successfully synchronised"), "check", "green"),
    ("pending", _l("Pending verification"), _l("Awaiting verification"), "clock", "yellow"),
    ("review", _l("Requires review"), _l("Manual review needed"), "alert-triangle", "red"),
    ("failures", _l("Sync failures"), _l("Failed or orphaned"), "x", "red"),
)
"""S2.9: number, name, sub-text, icon, colour; the first is also the filter of the list behind."""


@blueprint.get("/")
def show() -> ResponseReturnValue:
    company = db.session.get_one(Company, require_company_id())
    return render_page(
        "overview/show.html",
        cards=_cards(),
        company=company,
        is_broken=company.connection_state is ConnectionState.BROKEN,
        run=latest_run(db.session()),
        incidents=open_incidents(db.session()),
        needs_first_steps=require_person().is_admin and needs_first_steps(db.session()),
        activity=_latest_activity(),
        upcoming=_next_appointments(),
    )


@blueprint.get("/cards")
def cards() -> ResponseReturnValue:
    """The one poll of the page: the cards, and the unread badge out of band."""
    return render_template("overview/_poll.html", cards=_cards(), unread=count_unread())


def _cards() -> list[dict[str, Any]]:
    now, zone = clock.now(), company_zone()
    numbers = count_cards(db.session(), now, zone)
    since = window_first_day(now, zone).isoformat()
    return [
        {
            "key": key,
            "value": getattr(numbers, key),
            "name": name,
            "text": text,
            "icon": icon,
            "colour": colour,
            "url": f"{url_for('appointments.index', sync=key)}&from={since}",
        }
        for key, name, text, icon, colour in CARDS
    ]


def _latest_activity() -> list[tuple[HistoryEvent, str]]:
    """The newest events of the company, with the customer each is about."""
    events = db.session.scalars(
        select(HistoryEvent)
        .where(HistoryEvent.company_id == require_company_id())
        .order_by(HistoryEvent.at.desc(), HistoryEvent.id.desc())
        .limit(ACTIVITY_ROWS)
    ).all()
    about = db.session.scalars(
        select(Appointment)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.id.in_({event.appointment_id for event in events}),
        )
        .options(joinedload(Appointment.customer))
    )
    names = {appointment.id: appointment.customer.name for appointment in about}
    return [(event, names[event.appointment_id]) for event in events]


def _next_appointments() -> list[Appointment]:
    query = (
        select(Appointment)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.starts_at >= clock.now(),
            Appointment.status.in_(LIVE),
        )
        .options(joinedload(Appointment.customer), joinedload(Appointment.service))
        .order_by(Appointment.starts_at, Appointment.id)
        .limit(UPCOMING_ROWS)
    )
    return list(db.session.scalars(query))
