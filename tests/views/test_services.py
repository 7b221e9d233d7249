"""The services' list: what differs on Cal.com, in plain words, and the button that looks."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.factories import Tenant, make_service
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import by_id, find, words
from webapp import clock
from webapp.extensions import db
from webapp.models.company import Company
from webapp.models.service import EventTypeState
from webapp.models.tenancy import as_company

Make = Callable[..., int]

SEEN = {"id": 9, "title": "Advice", "length_minutes": 45, "currency": "usd", "price": 2500.0}


@pytest.fixture
def look(app: Flask, company: Tenant) -> Callable[..., Any]:
    """The company's columns about its services."""

    def read(**columns: Any) -> Company:
        with app.app_context(), as_company(company.id):
            row = db.session.get_one(Company, company.id)
            for name, value in columns.items():
                setattr(row, name, value)
            db.session.commit()
            db.session.refresh(row)
            db.session.expunge(row)
            return row

    return read


def test_each_difference_is_told_field_by_field(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    make(
        make_service,
        company,
        event_type_id=9,
        name="Consulting",
        price_cents=3000,
        event_type_state=EventTypeState.PRESENT,
        event_type_seen=SEEN,
        drifts_since=clock.now(),
    )
    page = words(at_staff.page("/services"))
    assert "Name: here Consulting, on Cal.com Advice." in page
    assert "Duration: here 30 minutes, on Cal.com 45 minutes." in page
    assert "Price: here €30.00, on Cal.com $25.00. This can only be changed on Cal.com." in page
    assert "Seen first" in page


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"event_type_state": EventTypeState.GONE}, "no longer has this event type"),
        ({"event_type_state": EventTypeState.FOREIGN}, "belongs to another Cal.com account"),
        ({"event_type_seen": {**SEEN, "is_seated": True}}, "offers seats"),
        ({"event_type_seen": {**SEEN, "is_recurring": True}}, "recurs"),
        ({"event_type_state": EventTypeState.UNKNOWN}, "Not compared yet"),
        ({"event_type_id": None}, "No event type"),
    ],
)
def test_what_stands_in_the_way_is_said(
    at_staff: Visitor, make: Make, company: Tenant, columns: dict[str, Any], said: str
) -> None:
    columns = {"event_type_id": 9, "event_type_state": EventTypeState.PRESENT, **columns}
    make(make_service, company, **columns)
    assert said in words(at_staff.page("/services"))


def test_comparing_without_javascript_asks_once_and_says_so(
    at_manager: Visitor, look: Callable[..., Company]
) -> None:
    answer = at_manager.post("/services/comparisons")
    assert (answer.status_code, answer.location) == (303, "/services")
    page = at_manager.page("/services")
    assert "Comparison started." in page
    assert "Comparing with Cal.com" in page
    assert look().services_due_at is not None
    at_manager.post("/services/comparisons")
    assert "being compared already" in at_manager.page("/services")


def test_the_list_asks_again_until_the_comparison_has_ended(
    at_manager: Visitor, look: Callable[..., Company]
) -> None:
    html = at_manager.post("/services/comparisons", htmx=True).text
    [card] = find(html, "div", id="services")
    assert "every" in card.attributes["hx-trigger"]
    assert card.attributes["hx-get"] == "/services/comparison?poll="

    look(services_due_at=None, services_compared_at=clock.now())

    html = at_manager.get("/services/comparison?poll=", htmx=True).text
    ended = by_id(html, "services")
    assert ended is not None
    assert "hx-trigger" not in ended.attributes
    assert "just now" in html


def test_why_nothing_could_be_compared_is_said(
    at_staff: Visitor, look: Callable[..., Company]
) -> None:
    look(services_error_code="UNAUTHORIZED")
    assert "Cal.com refused your company" in at_staff.page("/services")


def test_staff_look_and_do_not_touch(at_staff: Visitor) -> None:
    assert "/services/comparisons" not in at_staff.page("/services")
    assert at_staff.post("/services/comparisons").status_code == 403


def test_a_stranger_sees_none_of_ours(at_stranger: Visitor, make: Make, company: Tenant) -> None:
    make(make_service, company, name="Our speciality")
    assert "Our speciality" not in at_stranger.page("/services")


def test_what_is_no_longer_offered_stays_in_the_list(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    make(make_service, company, is_offered=False)
    assert "no longer offered" in at_staff.page("/services")


def test_the_list_costs_the_same_for_many(
    app: Flask, at_staff: Visitor, make: Make, company: Tenant
) -> None:
    with count_statements(app) as few:
        at_staff.page("/services")
    for _ in range(5):
        make(make_service, company)
    with count_statements(app) as many:
        at_staff.page("/services")
    assert len(many) == len(few)
