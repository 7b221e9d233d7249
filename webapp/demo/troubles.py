"""What went wrong lately, so that the desk has something to show: each trouble is made the way it
happens in practice, and found by the engine itself."""

import random
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from webapp import clock
from webapp.demo.cast import Troupe
from webapp.demo.stage import Stage
from webapp.demo.story import coming_appointments
from webapp.extensions import db
from webapp.insight.stats import count_cards
from webapp.insight.trend import TREND_DAYS
from webapp.jobs.inline import run_job
from webapp.jobs.schedule import TASKS
from webapp.models.appointment import Origin
from webapp.models.card_day import CardDay
from webapp.models.company import Company
from webapp.models.customer import Customer
from webapp.models.run import RunScope, take_slot
from webapp.models.service import Service
from webapp.models.tenancy import as_company, require_company_id
from webapp.sync.booking import book_appointment
from webapp.sync.catalog import request_comparison
from webapp.sync.runs import start_run
from webapp.sync.verify import request_verification


def cause_troubles(stage: Stage, troupe: Troupe, company_id: int) -> None:
    """Some of each kind; more of them in the bigger company."""
    many = 3 if troupe.bookings_a_day > 5 else 1
    _lose_answers(stage, troupe, company_id, many)
    _take_slots(stage, troupe, company_id, many)
    _book_without_event_type(troupe, company_id)
    stage.work_through_retries()
    _part_ways_unannounced(stage, troupe, company_id, many)
    _verify_company(stage, company_id)
    _rename_service_there(stage, troupe, company_id)


def _lose_answers(stage: Stage, troupe: Troupe, company_id: int, many: int) -> None:
    """Cal.com stores and the line breaks: these end well, with one look more."""
    stage.remote.switch_on(
        {
            "kind": "reset_after",
            "operation": "bookings.create",
            "account": troupe.calcom_email,
            "times": many,
        }
    )
    with as_company(company_id):
        for number in range(many):
            _book_evening(troupe, days=3 + number, hour=21)
    stage.work_through_retries()
    stage.remote.switch_on()


def _take_slots(stage: Stage, troupe: Troupe, company_id: int, many: int) -> None:
    """Somebody was quicker on Cal.com, and its webhook got lost."""
    for number in range(many):
        at = _evening(troupe, days=5 + number, hour=17, minute=30)
        with as_company(company_id):
            event_type_id = _bookable_service().calcom_event_type_id
        stage.remote.post(
            "bookings", eventTypeId=event_type_id, start=at.isoformat(), force=True, silent=True
        )
        with as_company(company_id):
            _book_evening(troupe, days=5 + number, hour=17, minute=30)


def _book_without_event_type(troupe: Troupe, company_id: int) -> None:
    with as_company(company_id):
        service = db.session.scalar(
            select(Service).where(
                Service.company_id == company_id, Service.calcom_event_type_id.is_(None)
            )
        )
        if service is not None:
            for days in (2, 6):
                _book_evening(troupe, days=days, hour=20, service=service)


def _part_ways_unannounced(stage: Stage, troupe: Troupe, company_id: int, many: int) -> None:
    """Moved, cancelled and deleted over there, while the webhooks got lost."""
    dice = random.Random(f"{troupe.slug} troubles")  # noqa: S311 - sample data
    with as_company(company_id):
        chosen = dice.sample(coming_appointments(after_days=1), 3 * many)
        facts = [(row.id, row.calcom_v2_booking_id, row.starts_at) for row in chosen]
    stage.remote.switch_on({"kind": "webhook_dropped"})
    for number, (appointment_id, uid, starts_at) in enumerate(facts):
        if number % 3 == 0:
            later = starts_at.astimezone(ZoneInfo(troupe.time_zone)).replace(hour=22, minute=0)
            stage.act_there(f"bookings/{uid}/reschedule", start=later.isoformat())
        elif number % 3 == 1:
            stage.remote.post(f"bookings/{uid}/cancel", reason="…")
        else:
            stage.remote.remove_booking(str(uid))
            _ask_to_verify(company_id, appointment_id)
    stage.remote.settle()
    stage.remote.switch_on()
    stage.work()


def _ask_to_verify(company_id: int, appointment_id: int) -> None:
    """A person looks, so that one sighting is enough."""
    with as_company(company_id):
        rows = coming_appointments(after_days=0)
        row = next(row for row in rows if row.id == appointment_id)
        request_verification(db.session(), row, now=clock.now(), user_id=None)
        db.session.commit()


def _verify_company(stage: Stage, company_id: int) -> None:
    with as_company(company_id):
        _take_current_slots(company_id)
        run_id = start_run(db.session(), scope=RunScope.SCHEDULED, now=clock.now())
        db.session.commit()
    if run_id is not None:
        run_job("run", company_id, run_id)
    stage.work()


def _rename_service_there(stage: Stage, troupe: Troupe, company_id: int) -> None:
    """Somebody gave an event type another name, of which no webhook tells."""
    offer = [offer for offer in troupe.offers if offer.is_on_calcom][-1]
    stage.remote.post(
        "event-types", account=troupe.calcom_email, slug=offer.slug, title=f"{offer.name} Plus"
    )
    with as_company(company_id):
        request_comparison(db.session(), now=clock.now())
        db.session.commit()
    stage.work()


def _take_current_slots(company_id: int) -> None:
    """What the demo begins with has been verified; the next slots find their own."""
    now = clock.now()
    zone = db.session.get_one(Company, company_id).zone
    for task in TASKS.values():
        take_slot(db.session(), task.name, task.slot_at(now, zone), now)
    _remember_cards(company_id)


def _remember_cards(company_id: int) -> None:
    """Two weeks of how the cards stood: a calm rise, and a trouble now and then."""
    now = clock.now()
    zone = db.session.get_one(Company, company_id).zone
    today, numbers = now.astimezone(zone).date(), count_cards(db.session(), now, zone)
    for back in range(1, TREND_DAYS):
        trouble = (0, 1, 0, 2, 4, 1, 0)[back % 7]
        db.session.add(
            CardDay(
                day=today - timedelta(days=back),
                synced=max(0, numbers.synced - 2 * back - trouble),
                pending=(1, 0, 2, 0, 1)[back % 5],
                review=trouble,
                failures=trouble // 2,
                counted_at=now - timedelta(days=back),
            )
        )


def _book_evening(
    troupe: Troupe, *, days: int, hour: int, minute: int = 0, service: Service | None = None
) -> None:
    company_id = require_company_id()
    customer = db.session.scalar(
        select(Customer)
        .where(Customer.company_id == company_id)
        .order_by(Customer.id.desc())
        .offset(days)
        .limit(1)
    )
    assert customer is not None  # noqa: S101 - narrows the type
    book_appointment(
        db.session(),
        customer=customer,
        service=service or _bookable_service(),
        starts_at=_evening(troupe, days=days, hour=hour, minute=minute),
        origin=Origin.RETELL,
        now=clock.now(),
    )
    db.session.commit()


def _bookable_service() -> Service:
    service = db.session.scalar(
        select(Service)
        .where(
            Service.company_id == require_company_id(), Service.calcom_event_type_id.is_not(None)
        )
        .order_by(Service.id)
        .limit(1)
    )
    assert service is not None  # noqa: S101 - narrows the type
    return service


def _evening(troupe: Troupe, *, days: int, hour: int, minute: int) -> datetime:
    zone = ZoneInfo(troupe.time_zone)
    day = clock.now().astimezone(zone).date() + timedelta(days=days)
    return datetime.combine(day, time(hour, minute), zone)
