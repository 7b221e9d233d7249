"""The story: three weeks of a company's life, played through the real engine, with some of what
goes wrong in practice; nothing writes a sync state into a row."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from webapp import clock
from webapp.demo.cast import Offer, Troupe
from webapp.demo.setting import service_ids
from webapp.demo.stage import Stage
from webapp.demo.telephone import take_call
from webapp.extensions import db
from webapp.models.appointment import LIVE, Appointment, Origin
from webapp.models.customer import Customer
from webapp.models.service import Service
from webapp.models.tenancy import as_company, require_company_id
from webapp.sync.booking import book_appointment, cancel_appointment, reschedule_appointment

DAYS_BACK = 21
DAYS_AHEAD = 21
ORIGINS = (Origin.RETELL, Origin.RETELL, Origin.ADMIN, Origin.API)


@dataclass(frozen=True)
class Plan:
    """An appointment to come: when it is booked, and for when; days count from today."""

    booked_on: int
    starts_at: datetime
    offer: Offer


def plan_bookings(troupe: Troupe, today: date) -> list[Plan]:
    """The weeks' appointments, without two at once."""
    dice = random.Random(f"{troupe.slug} bookings")  # noqa: S311 - sample data
    offers = [offer for offer in troupe.offers if offer.is_on_calcom]
    plans = []
    for day in range(1 - DAYS_BACK, DAYS_AHEAD + 1):
        if (today + timedelta(days=day)).weekday() < 5:
            for starts_at, offer in _a_day(troupe, today + timedelta(days=day), offers, dice):
                latest = min(day, 0) - 1
                earliest = min(max(-DAYS_BACK, day - 14), latest)
                plans.append(Plan(dice.randint(earliest, latest), starts_at, offer))
    return plans


def _a_day(
    troupe: Troupe, day: date, offers: list[Offer], dice: random.Random
) -> Iterator[tuple[datetime, Offer]]:
    at = datetime.combine(day, time(8), ZoneInfo(troupe.time_zone))
    for _ in range(troupe.bookings_a_day):
        offer = dice.choice(offers)
        yield at, offer
        at += timedelta(minutes=offer.minutes + dice.choice((0, 0, 5, 15)))


def play_day(
    stage: Stage, troupe: Troupe, company_id: int, plans: list[Plan], today: date, day: int
) -> None:
    """One day: bookings come in, a few are moved or cancelled, on either side."""
    dice = random.Random(f"{troupe.slug} {day}")  # noqa: S311 - sample data
    with as_company(company_id):
        for plan in plans:
            if plan.booked_on == day:
                _book(plan, dice)
    if day % 2 == 0:
        take_call(troupe, today, day, dice)
    stage.work()
    if day % 4 == 0:
        with as_company(company_id):
            _change_of_mind(troupe, dice)
        stage.work()
    if day % 5 == 0:
        _change_over_there(stage, troupe, company_id, dice)
        stage.work()
    _end_meetings(stage, company_id, dice)
    stage.work()


def _book(plan: Plan, dice: random.Random) -> None:
    customers = list(
        db.session.scalars(select(Customer.id).where(Customer.company_id == require_company_id()))
    )
    company_id = require_company_id()
    book_appointment(
        db.session(),
        customer=db.session.get_one(Customer, (company_id, dice.choice(customers))),
        service=db.session.get_one(Service, (company_id, service_ids()[plan.offer.name])),
        starts_at=plan.starts_at,
        origin=dice.choice(ORIGINS),
        now=clock.now(),
    )
    db.session.commit()


def _change_of_mind(troupe: Troupe, dice: random.Random) -> None:
    """Somebody cancels by telephone, somebody else moves to an evening."""
    upcoming = coming_appointments(after_days=1)
    if len(upcoming) < 2:
        return
    first, second = dice.sample(upcoming, 2)
    reason = "Krank" if troupe.locale == "de" else "Ill"
    cancel_appointment(db.session(), first, reason=reason, origin=Origin.RETELL, now=clock.now())
    db.session.commit()
    evening = second.starts_at.astimezone(ZoneInfo(troupe.time_zone)).replace(
        hour=19, minute=dice.choice((0, 15, 30))
    )
    reschedule_appointment(db.session(), second, evening, origin=Origin.ADMIN, now=clock.now())
    db.session.commit()


def _change_over_there(stage: Stage, troupe: Troupe, company_id: int, dice: random.Random) -> None:
    """People use Cal.com's own pages: one books, one moves."""
    zone = ZoneInfo(troupe.time_zone)
    with as_company(company_id):
        upcoming = coming_appointments(after_days=2)
        moved = dice.choice(upcoming) if upcoming else None
        uid = moved and moved.calcom_v2_booking_id
        night = moved and moved.starts_at.astimezone(zone).replace(hour=20, minute=30)
        event_type_id = db.session.scalar(
            select(Service.calcom_event_type_id).where(
                Service.company_id == company_id, Service.calcom_event_type_id.is_not(None)
            )
        )
    if uid and night:
        stage.act_there(f"bookings/{uid}/reschedule", start=night.isoformat())
    new_at = datetime.combine(clock.now().astimezone(zone).date(), time(6, 30), zone)
    stage.act_there(
        "bookings",
        eventTypeId=event_type_id,
        start=(new_at + timedelta(days=dice.randint(2, 9))).isoformat(),
        attendee={
            "name": f"{dice.choice(troupe.first_names)} {dice.choice(troupe.last_names)}",
            "email": f"visitor{clock.now():%m%d}@{troupe.slug}.example",
            "timeZone": troupe.time_zone,
        },
    )
    stage.remote.settle()


def _end_meetings(stage: Stage, company_id: int, dice: random.Random) -> None:
    """What lies behind is over; now and then nobody came."""
    with as_company(company_id):
        over = db.session.scalars(
            select(Appointment.calcom_v2_booking_id).where(
                Appointment.company_id == company_id,
                Appointment.status.in_(LIVE),
                Appointment.ends_at < clock.now(),
                Appointment.calcom_v2_booking_id.is_not(None),
            )
        ).all()
    for uid in over:
        stage.remote.post(f"bookings/{uid}/{'no-show' if dice.random() < 0.06 else 'end'}")
    stage.remote.settle()


def coming_appointments(*, after_days: float) -> list[Appointment]:
    """Live appointments of the current company that start later than so many days from now."""
    query = (
        select(Appointment)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.status.in_(LIVE),
            Appointment.calcom_v2_booking_id.is_not(None),
            Appointment.starts_at > clock.now() + timedelta(days=after_days),
        )
        .order_by(Appointment.id)
    )
    return list(db.session.scalars(query))
