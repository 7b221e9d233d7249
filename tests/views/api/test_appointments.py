"""Appointments through the API: from booking to Cal.com and back, and paging through them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from tests.desk import Desk
from tests.factories import (
    Tenant,
    make_appointment,
    make_customer,
    make_service,
    make_token,
)
from tests.views.api.conftest import System, booking
from tests.views.counting import count_statements
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import AppointmentStatus, Origin
from webapp.models.customer import Customer
from webapp.models.service import Service
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sandbox.server import RunningSandbox
from webapp.sync.booking import BookingRefused, book_appointment

Make = Callable[..., int]


def test_a_booking_reaches_calcom_is_moved_there_and_cancelled(
    app: Flask, sandbox: RunningSandbox
) -> None:
    with app.app_context():
        desk = Desk(sandbox)
        partner = System(app, make_token(desk.company))
    made = partner.post("/appointments", booking(desk.company, notes="Ring twice"))
    assert made.status_code == 201
    where = made.location.removeprefix("/api/v1")
    assert made.get_json()["sync"]["status"] == "pending"
    assert not partner.read(f"{where}/sync")["is_settled"]

    with app.app_context():
        desk.work()
    sync = partner.read(f"{where}/sync")
    assert (sync["status"], sync["is_settled"]) == ("synced", True)
    [live] = desk.cal.live_bookings()
    assert sync["calcom_booking_uid"] == live["uid"]
    assert sync["verified_at"] is not None
    assert partner.read(where)["origin"] == "api"

    moved = partner.post(
        f"{where}/reschedulings", {"starts_at": "2031-05-06T09:00:00+02:00", "reason": "Holiday"}
    )
    assert (moved.status_code, moved.get_json()["starts_at"]) == (200, "2031-05-06T07:00:00Z")
    assert moved.get_json()["ends_at"] == "2031-05-06T07:30:00Z"
    with app.app_context():
        desk.work()
    assert [each["start"] for each in desk.cal.live_bookings()] == ["2031-05-06T07:00:00.000Z"]

    cancelled = partner.post(f"{where}/cancellations", {"reason": "Ill"})
    assert cancelled.get_json()["status"] == "cancelled"
    with app.app_context():
        desk.work()
    assert desk.cal.live_bookings() == []
    assert partner.read(f"{where}/sync")["status"] == "synced"


def test_what_calcom_refuses_is_told_with_its_code(app: Flask, sandbox: RunningSandbox) -> None:
    with app.app_context():
        desk = Desk(sandbox)
        partner = System(app, make_token(desk.company))
        desk.forget_event_type()
    made = partner.post("/appointments", booking(desk.company))
    with app.app_context():
        desk.work()
    sync = partner.read(f"{made.location.removeprefix('/api/v1')}/sync")
    assert (sync["status"], sync["error"]["code"]) == ("failed", "NO_EVENT_TYPE")
    assert sync["requires_review"]
    assert sync["flagged_at"] is not None


def test_a_customer_on_file_is_taken_by_id_or_found_by_email(
    partner: System, company: Tenant
) -> None:
    by_id = partner.post("/appointments", booking(company, customer={"id": company.customer_id}))
    details = {"name": "Whatever", "email": company.customer_email.upper()}
    later = "2031-03-01T10:00:00Z"
    by_email = partner.post("/appointments", booking(company, customer=details, starts_at=later))
    for response in (by_id, by_email):
        assert response.status_code == 201, response.text
        assert response.get_json()["customer"]["id"] == company.customer_id
        assert response.get_json()["customer"]["name"] == "Erika Beispiel"


def test_nobody_books_for_an_erased_customer(app: Flask, partner: System, company: Tenant) -> None:
    """A partner that kept the number would have Cal.com mail nobody."""
    with app.app_context(), as_company(company.id):
        row = db.session.get_one(Customer, (company.id, company.customer_id))
        row.erased_at = clock.now()
        db.session.commit()
        with pytest.raises(BookingRefused, match="customer_erased"):
            book_appointment(
                db.session(),
                customer=row,
                service=db.session.get_one(Service, (company.id, company.service_id)),
                starts_at=clock.now() + timedelta(days=1),
                origin=Origin.API,
                now=clock.now(),
            )

    answer = partner.post("/appointments", booking(company, customer={"id": company.customer_id}))

    assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found")


def test_guests_and_notes_are_kept(partner: System, company: Tenant) -> None:
    guests = ["a@example.org", "b@example.org", "a@example.org"]
    made = partner.post("/appointments", booking(company, guests=guests, notes="Ring\ntwice"))
    assert made.get_json()["guests"] == ["a@example.org", "b@example.org"]
    assert made.get_json()["notes"] == "Ring\ntwice"


def _refusal(response: Any) -> tuple[int, str]:
    return response.status_code, response.get_json()["code"]


def test_changes_that_make_no_sense_are_refused_with_a_code(
    partner: System, make: Make, company: Tenant
) -> None:
    over = make(make_appointment, company, status=AppointmentStatus.CANCELLED)
    begun = make(make_appointment, company, starts_at=clock.now() - timedelta(minutes=5))
    live = make(make_appointment, company, starts_at=clock.now() + timedelta(days=3))
    kept = partner.read(f"/appointments/{live}")["starts_at"]
    gone = make(make_service, company, is_offered=False)
    past, later = "2020-01-01T10:00:00Z", "2031-03-01T10:00:00Z"

    def move(appointment_id: int, starts_at: str) -> tuple[int, str]:
        body = {"starts_at": starts_at}
        return _refusal(partner.post(f"/appointments/{appointment_id}/reschedulings", body))

    assert move(over, later) == (409, "not_live")
    assert move(begun, later) == (409, "already_started")
    assert move(live, kept) == (409, "unchanged")
    assert move(live, past) == (422, "in_past")
    cancel = partner.post(f"/appointments/{over}/cancellations", {"reason": "Ill"})
    assert _refusal(cancel) == (409, "not_live")
    made = partner.post("/appointments", booking(company, service_id=gone))
    assert _refusal(made) == (409, "service_not_offered")
    made = partner.post("/appointments", booking(company, starts_at=past))
    assert _refusal(made) == (422, "in_past")
    assert made.get_json()["errors"][0]["field"] == "starts_at"


def test_a_booking_that_is_there_already_is_named(partner: System, company: Tenant) -> None:
    """Without a key, too: a request sent twice must not book twice, nor mail twice."""
    body = booking(company, starts_at="2031-03-01T10:00:00Z")
    first = partner.post("/appointments", body).get_json()["id"]
    again = partner.post("/appointments", body)
    assert _refusal(again) == (409, "already_booked")
    assert again.get_json()["appointment_id"] == first


# Lists


@pytest.fixture
def seven(make: Make, company: Tenant) -> list[int]:
    """Seven appointments, later ids starting earlier."""
    first = (clock.now() + timedelta(days=20)).replace(microsecond=0)
    return [
        make(make_appointment, company, starts_at=first - timedelta(days=number))
        for number in range(7)
    ]


def _pages(system: System, query: str, between: Callable[[], None] = lambda: None) -> list[int]:
    """The ids of all pages, in order."""
    found: list[int] = []
    cursor = ""
    while True:
        page = system.read(f"/appointments?{query}{cursor}")
        found += [each["id"] for each in page["data"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
        between()


def test_pages_hold_everything_once_in_either_order(partner: System, seven: list[int]) -> None:
    assert _pages(partner, "limit=3") == seven
    assert _pages(partner, "limit=7") == seven
    assert _pages(partner, "limit=2&order=starts_at") == seven[::-1]


def test_what_is_booked_while_paging_leaves_nothing_out_and_repeats_nothing(
    partner: System, make: Make, company: Tenant, seven: list[int]
) -> None:
    added: list[int] = []

    def book_one() -> None:
        if len(added) < 3:
            near = clock.now() + timedelta(days=1, minutes=len(added))
            added.append(make(make_appointment, company, starts_at=near))

    assert _pages(partner, "limit=2", book_one) == seven + added
    found = _pages(partner, "limit=2&order=starts_at", lambda: None)
    assert sorted(found) == sorted(seven + added)


def test_what_is_moved_while_paging_is_seen_once_in_the_order_of_creation(
    partner: System, seven: list[int]
) -> None:
    def move_the_first() -> None:
        body = {"starts_at": (clock.now() + timedelta(days=90)).isoformat()}
        clock.advance(timedelta(seconds=1))
        path = f"/appointments/{seven[0]}/reschedulings"
        assert partner.post(path, body).status_code == 200

    assert _pages(partner, "limit=3", move_the_first) == seven


def test_equal_starts_are_told_apart(partner: System, make: Make, company: Tenant) -> None:
    at = clock.now() + timedelta(days=2)
    ids = [make(make_appointment, company, starts_at=at) for _ in range(5)]
    assert _pages(partner, "limit=2&order=starts_at") == ids


def test_filters(partner: System, make: Make, company: Tenant) -> None:
    service, customer = make(make_service, company), make(make_customer, company)
    at = datetime.fromisoformat("2031-06-01T10:00:00+00:00")
    plain = make(make_appointment, company, starts_at=at)
    failed = make(
        make_appointment,
        company,
        starts_at=at + timedelta(days=1),
        state=SyncState.FAILED,
        flagged=True,
        service_id=service,
    )
    cancelled = make(
        make_appointment,
        company,
        starts_at=at + timedelta(days=2),
        status=AppointmentStatus.CANCELLED,
        customer_id=customer,
    )
    expected = {
        "": [plain, failed, cancelled],
        "status=confirmed": [plain, failed],
        "status=confirmed&status=cancelled": [plain, failed, cancelled],
        "status=no_show": [],
        "sync_status=failed": [failed],
        "sync_status=synced&sync_status=failed&status=cancelled": [cancelled],
        "requires_review=true": [failed],
        "requires_review=false": [plain, cancelled],
        f"service_id={service}": [failed],
        f"customer_id={customer}": [cancelled],
        "starts_from=2031-06-02T10:00:00Z": [failed, cancelled],
        "starts_before=2031-06-02T10:00:00Z": [plain],
        "starts_from=2031-06-02T12:00:00%2B02:00&starts_before=2031-06-03T00:00:00Z": [failed],
    }
    for query, ids in expected.items():
        assert _pages(partner, query) == ids, query


def test_what_something_happened_to_since(partner: System, make: Make, company: Tenant) -> None:
    make(make_appointment, company)
    first = partner.post("/appointments", booking(company)).get_json()["id"]
    clock.advance(timedelta(hours=1))
    since = clock.now().isoformat().replace("+", "%2B")
    clock.advance(timedelta(seconds=1))
    assert _pages(partner, f"updated_since={since}") == []

    partner.post(f"/appointments/{first}/cancellations", {"reason": "Ill"})

    assert _pages(partner, f"updated_since={since}") == [first]


@pytest.mark.parametrize(
    "cursor", ["", "x", "a" * 501, "AAAA", "bnVsbA", "WzEsMiwzXQ", "%F0%9F%98%80", "W10="]
)
def test_a_cursor_that_is_none_is_refused(partner: System, cursor: str) -> None:
    response = partner.get(f"/appointments?cursor={cursor}")
    assert response.status_code == 422
    assert response.get_json()["errors"][0]["field"] == "cursor"


def test_a_cursor_belongs_to_its_list(partner: System, seven: list[int]) -> None:
    cursor = partner.read("/appointments?limit=3")["next_cursor"]
    assert partner.get(f"/appointments?limit=1&cursor={cursor}").status_code == 200
    for other in ("order=starts_at", "status=confirmed", "requires_review=true"):
        response = partner.get(f"/appointments?limit=3&{other}&cursor={cursor}")
        assert response.status_code == 422
        assert response.get_json()["errors"][0]["code"] == "other_list"


def test_a_page_costs_the_same_however_full_it_is(
    app: Flask, partner: System, seven: list[int]
) -> None:
    counts = []
    for limit in (1, 7):
        partner.read("/appointments?limit=1")
        with count_statements(app) as seen:
            partner.read(f"/appointments?limit={limit}")
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_services_and_numbers(partner: System, make: Make, company: Tenant) -> None:
    make(make_appointment, company)
    make(make_appointment, company, state=SyncState.FAILED, flagged=True)
    partner.post("/appointments", booking(company))
    hidden = make(make_service, company, is_offered=False)

    services = {each["id"]: each for each in partner.read("/services")["data"]}
    assert services[company.service_id]["duration_minutes"] == 30
    assert services[company.service_id]["is_connected"]
    assert not services[hidden]["is_offered"]
    stats = partner.read("/stats")
    numbers = {name: stats[name] for name in ("synced", "pending", "failures", "total")}
    assert numbers == {"synced": 1, "pending": 1, "failures": 1, "total": 3}
    assert (stats["requires_review"], stats["waiting_changes"]) == (1, 1)
    assert stats["last_verification"] is None
