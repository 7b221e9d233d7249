"""The overview: is all well, and if not, where."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from webapp import clock
from webapp.application import settings
from webapp.calcom.breaker import Circuit
from webapp.extensions import db
from webapp.insight.health import Facts, judge_health
from webapp.insight.stats import Cards, count_cards, window_first_day
from webapp.insight.trend import past_days, series
from webapp.jobs.traffic import traffic_of
from webapp.models.appointment import LIVE, Appointment
from webapp.models.card_day import CardDay
from webapp.models.company import Company, ConnectionState
from webapp.models.history import HistoryEvent
from webapp.models.incident import Incident, open_incidents
from webapp.models.run import Run, RunStatus, latest_finished_run, latest_run
from webapp.models.tenancy import require_company_id
from webapp.sync.first_steps import needs_first_steps
from webapp.sync.pausing import waiting_changes
from webapp.views.access import company_zone, require_person
from webapp.views.pages import count_unread, render_page
from webapp.views.sparkline import draw

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
    run, incidents = latest_run(db.session()), open_incidents(db.session())
    return render_page(
        "overview/show.html",
        company=company,
        **_standing(company, run, incidents),
        is_broken=company.connection_state is ConnectionState.BROKEN,
        run=run,
        incidents=incidents,
        needs_first_steps=require_person().is_admin and needs_first_steps(db.session()),
        activity=_latest_activity(),
        upcoming=_next_appointments(),
    )


@blueprint.get("/cards")
def cards() -> ResponseReturnValue:
    """The one poll of the page: the cards, and the unread badge out of band."""
    company = db.session.get_one(Company, require_company_id())
    run, incidents = latest_run(db.session()), open_incidents(db.session())
    return render_template(
        "overview/_poll.html", unread=count_unread(), **_standing(company, run, incidents)
    )


def _standing(company: Company, run: Run | None, incidents: list[Incident]) -> dict[str, Any]:
    """The cards with their trends, and the sentence above them."""
    now, zone = clock.now(), company_zone()
    numbers = count_cards(db.session(), now, zone)
    days = past_days(db.session(), now.astimezone(zone).date())
    facts = _facts(company, run, len(incidents), numbers.review)
    within = timedelta(hours=2 * settings().verification_interval_hours)
    return {
        "cards": _cards(numbers, days),
        "health": judge_health(_with_traffic(facts, company), now=now, verified_within=within),
    }


def _facts(company: Company, run: Run | None, incidents: int, review: int) -> Facts:
    return Facts(
        has_key=company.calcom_api_key is not None,
        is_broken=company.connection_state is ConnectionState.BROKEN,
        paused_at=company.paused_at,
        open_incidents=incidents,
        webhook_silent_since=company.webhook_silent_since,
        review=review,
        waiting=waiting_changes(db.session()),
        verified_at=_verified_at(run),
    )


def _verified_at(run: Run | None) -> datetime | None:
    """When the newest verification that got to its end did so; one that runs says nothing yet."""
    if run is not None and run.status is RunStatus.DONE:
        return run.finished_at
    done = latest_finished_run(db.session()) if run is not None else None
    return None if done is None else done.finished_at


def _with_traffic(facts: Facts, company: Company) -> Facts:
    """What breaker and budget hold back. Not asked where nothing could be sent anyway."""
    if not facts.has_key or facts.is_broken or facts.paused_at is not None:
        return facts
    traffic = traffic_of(company)
    if traffic is None:
        return replace(facts, is_queue_away=True)
    is_open = traffic.breaker.circuit is Circuit.OPEN
    budget = traffic.budget
    return replace(
        facts,
        rate_limited_until=None if budget is None else budget.paused_until,
        breaker_open_until=traffic.breaker.open_until if is_open else None,
    )


def _cards(numbers: Cards, days: list[CardDay]) -> list[dict[str, Any]]:
    now, zone = clock.now(), company_zone()
    since = window_first_day(now, zone).isoformat()
    return [
        {
            "key": key,
            "value": getattr(numbers, key),
            "name": name,
            "text": text,
            "icon": icon,
            "colour": colour,
            "trend": draw(series(days, numbers, key)),
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
