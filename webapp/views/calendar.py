"""Appointments by day and by week, on the company's clock.

The browser gets wall times without an offset, so that its own zone changes nothing; the same page
holds them as a plain list, which is what stays without script.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from webapp import clock
from webapp.extensions import db
from webapp.insight.stats import start_of_day
from webapp.models.appointment import Appointment, AppointmentStatus
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.views.access import company_zone, find_or_404, id_or_404
from webapp.views.appointments import company_services
from webapp.views.formats import clock_time
from webapp.views.local_time import parse_day
from webapp.views.pages import render_page
from webapp.views.saved_views import own_views
from webapp.views.wording import STATUSES, SYNC_STATES

blueprint = Blueprint("calendar", __name__, url_prefix="/appointments/calendar")

VIEWS: dict[str, LazyString] = {"day": _l("Day"), "week": _l("Week")}
DAYS = {"day": 1, "week": 7}
LONGEST_WINDOW_DAYS = 14
MOST_SHOWN = 500
"""Beyond that a week can't be read; the page says that it shows the first ones only."""


@dataclass(frozen=True)
class Window:
    """Whole days on the company's clock, `until` not included."""

    since: date
    until: date

    @property
    def last_day(self) -> date:
        return self.until - timedelta(days=1)


@blueprint.get("")
def show() -> ResponseReturnValue:
    zone = company_zone()
    today = clock.now().astimezone(zone).date()
    view = request.args.get("view", "")
    view = view if view in VIEWS else "week"
    day = parse_day(request.args.get("day", "")) or today
    window = _window_of(view, day)
    service_id = _own_service_id()
    shown, is_cut = _appointments(window, service_id, zone)
    links = {
        "before": _address(view, day - timedelta(days=DAYS[view]), service_id),
        "after": _address(view, day + timedelta(days=DAYS[view]), service_id),
        "today": _address(view, today, service_id),
        **{name: _address(name, day, service_id) for name in VIEWS},
    }
    return render_page(
        "calendar/show.html",
        view=view,
        names=VIEWS,
        day=day,
        window=window,
        noon_of=lambda each: datetime(each.year, each.month, each.day, 12, tzinfo=zone),
        days=_by_day(shown, zone),
        is_cut=is_cut,
        most=MOST_SHOWN,
        links=links,
        service_id=service_id,
        services=company_services(),
        events_url=url_for(".events", service=service_id),
        wall_now=_wall(clock.now(), zone),
        views=own_views(),
        tab="calendar",
    )


@blueprint.get("/events")
def events() -> ResponseReturnValue:
    """A window's appointments, for the calendar: `from` (included) to `to` (not), as days; without
    them a week from today.

    At most LONGEST_WINDOW_DAYS days and MOST_SHOWN appointments; `is_cut` says where some are left
    out. Times are the company's wall clock, without offset.
    """
    zone = company_zone()
    since = parse_day(request.args.get("from", "")) or clock.now().astimezone(zone).date()
    until = parse_day(request.args.get("to", "")) or since + timedelta(days=DAYS["week"])
    if not 0 < (until - since).days <= LONGEST_WINDOW_DAYS:
        abort(400)
    shown, is_cut = _appointments(Window(since, until), _own_service_id(), zone)
    return jsonify({"events": [_event(each, zone) for each in shown], "is_cut": is_cut})


def wall_times(appointment: Appointment, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and end as the company's clocks show them, naive.

    Where the clocks are put back in between, the end may seem to come before the start: then the
    real length is drawn.
    """
    start = appointment.starts_at.astimezone(zone).replace(tzinfo=None)
    end = appointment.ends_at.astimezone(zone).replace(tzinfo=None)
    length = appointment.ends_at - appointment.starts_at
    return start, end if end > start else start + length


def _window_of(view: str, day: date) -> Window:
    """The day, or its week from Monday."""
    first = day if view == "day" else day - timedelta(days=day.weekday())
    return Window(first, first + timedelta(days=DAYS[view]))


def _appointments(
    window: Window, service_id: int | None, zone: ZoneInfo
) -> tuple[list[Appointment], bool]:
    """What begins in the window, soonest first, and whether more begins than is shown."""
    query = (
        select(Appointment)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.starts_at >= start_of_day(window.since, zone),
            Appointment.starts_at < start_of_day(window.until, zone),
        )
        .options(joinedload(Appointment.customer), joinedload(Appointment.service))
        .order_by(Appointment.starts_at, Appointment.id)
        .limit(MOST_SHOWN + 1)
    )
    if service_id is not None:
        query = query.where(Appointment.service_id == service_id)
    found = list(db.session.scalars(query))
    return found[:MOST_SHOWN], len(found) > MOST_SHOWN


def _by_day(shown: list[Appointment], zone: ZoneInfo) -> list[tuple[date, list[Appointment]]]:
    days = groupby(shown, key=lambda each: each.starts_at.astimezone(zone).date())
    return [(day, list(those)) for day, those in days]


def _event(appointment: Appointment, zone: ZoneInfo) -> dict[str, Any]:
    """One appointment as the calendar draws it; texts are in the reader's language."""
    start, end = wall_times(appointment, zone)
    sync = SYNC_STATES[appointment.calcom_sync_status]
    return {
        "id": str(appointment.id),
        "start": _wall_text(start),
        "end": _wall_text(end),
        "title": appointment.customer.name,
        "service": appointment.service.name,
        "time": f"{clock_time(appointment.starts_at)} – {clock_time(appointment.ends_at)}",
        "sync": str(sync.label),
        "colour": sync.colour,
        "icon": sync.icon,
        "status": str(STATUSES[appointment.status].label),
        "is_cancelled": appointment.status is AppointmentStatus.CANCELLED,
        "url": url_for("appointments.show", appointment_id=appointment.id),
    }


def _wall(instant: datetime, zone: ZoneInfo) -> str:
    return _wall_text(instant.astimezone(zone).replace(tzinfo=None))


def _wall_text(local: datetime) -> str:
    return f"{local:%Y-%m-%dT%H:%M}"


def _own_service_id() -> int | None:
    text = request.args.get("service", "")
    return find_or_404(Service, id_or_404(text)).id if text else None


def _address(view: str, day: date, service_id: int | None) -> str:
    return url_for(".show", view=view, day=day.isoformat(), service=service_id)
