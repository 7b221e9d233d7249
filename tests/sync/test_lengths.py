"""A service whose event type offers several lengths is booked at its own."""

from datetime import timedelta

from tests.desk import Desk, in_days
from webapp import clock
from webapp.extensions import db
from webapp.models.service import Service
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sync.catalog import request_comparison


def offer(desk: Desk, minutes: int, **event_type: object) -> None:
    """Bind the service to an event type of 30 minutes, by default with a choice of 30 and 60."""
    fields = {"title": "Talk", "slug": "talk", "lengthInMinutes": 30} | event_type
    made = desk.cal.put("event-types", {"account": desk.cal.account, **fields})
    with as_company(desk.company.id):
        service = db.session.get_one(Service, (desk.company.id, desk.company.service_id))
        service.calcom_event_type_id = made["id"]
        service.duration_minutes = minutes
        db.session.commit()


def compare_services(desk: Desk) -> None:
    with as_company(desk.company.id):
        assert request_comparison(db.session(), now=clock.now())
        db.session.commit()
    desk.work()


def test_the_length_is_asked_for_where_the_event_type_offers_several(desk: Desk) -> None:
    offer(desk, 60, lengthInMinutesOptions=[30, 60])
    compare_services(desk)
    appointment_id = desk.book(in_days(2))

    desk.work()

    row = desk.appointment(appointment_id)
    assert row.ends_at - row.starts_at == timedelta(minutes=60)
    [booking] = desk.cal.live_bookings()
    assert booking["end"].startswith(row.ends_at.strftime("%Y-%m-%dT%H:%M"))
    assert row.calcom_sync_status is SyncState.SYNCED


def test_no_length_is_asked_for_where_there_is_none_to_choose(desk: Desk) -> None:
    """Cal.com answers 400 to a length that it doesn't offer (API.md §2)."""
    offer(desk, 45, lengthInMinutesOptions=[30, 60])
    compare_services(desk)
    appointment_id = desk.book(in_days(2))
    offer(desk, 30, slug="short")
    other_id = desk.book(in_days(3))

    desk.work()

    for each in (appointment_id, other_id):
        row = desk.appointment(each)
        assert row.calcom_sync_status is SyncState.SYNCED
        assert row.ends_at - row.starts_at == timedelta(minutes=30)
