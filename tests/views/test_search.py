"""Searching everything: what is found, that only one's own is, and what it costs."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from tests.factories import Tenant, make_appointment, make_customer, make_service
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import find, words
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import BookingAlias
from webapp.models.tenancy import as_company
from webapp.views.search import MOST_OF_A_KIND

Make = Callable[..., int]


def found(page: str) -> list[str]:
    """Where the results lead, in their order."""
    return [each.attributes["href"] for each in find(page, "a", class_="palette-result")]


@pytest.fixture
def anna(make: Make, company: Tenant) -> int:
    return make(make_customer, company, "anna@example.org", name="Ännchen Straße", phone="+4930111")


@pytest.fixture
def booked(make: Make, company: Tenant, anna: int) -> int:
    return make(make_appointment, company, customer_id=anna)


@pytest.mark.parametrize(
    "typed",
    ["ännchen", "ÄNNCHEN STRASSE", "Straße", "strasse änn", "anna@EX", "%2B49 (30) 1", "0049 30"],
)
def test_a_customer_and_their_appointments_are_found(
    at_staff: Visitor, booked: int, typed: str
) -> None:
    page = at_staff.page(f"/search?q={typed}")
    assert f"/appointments/{booked}" in found(page)
    assert "Ännchen Straße" in page
    assert "anna@example.org · +4930111" in words(page)


@pytest.mark.parametrize("typed", ["{id}", "%23{id}"])
def test_an_appointment_is_found_by_its_number(at_staff: Visitor, booked: int, typed: str) -> None:
    page = at_staff.page("/search?q=" + typed.format(id=booked))
    assert found(page)[0] == f"/appointments/{booked}"


def test_an_appointment_is_found_by_any_uid_it_has_had(
    app: Flask, at_staff: Visitor, company: Tenant, booked: int
) -> None:
    with app.app_context(), as_company(company.id):
        for uid in ("aBcDeF1234", "zYxWvU9876"):
            alias = BookingAlias(
                appointment_id=booked, calcom_host="127.0.0.1:9", uid=uid, first_seen_at=clock.now()
            )
            db.session.add(alias)
        db.session.commit()
    assert found(at_staff.page("/search?q=aBcDeF")) == [f"/appointments/{booked}"]
    assert found(at_staff.page("/search?q=zYxWvU9876")) == [f"/appointments/{booked}"]
    assert found(at_staff.page("/search?q=aBcDe")) == []


def test_a_service_is_found_by_any_part_of_its_name(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    make(make_service, company, name="Tiefe Massage")
    page = at_staff.page("/search?q=massage")
    assert "Tiefe Massage" in page


def test_pages_are_found_and_only_those_the_reader_may_see(
    at_staff: Visitor, at_admin: Visitor
) -> None:
    assert "/settings" in found(at_admin.page("/search?q=sett"))
    assert found(at_staff.page("/search?q=sett")) == []
    assert "/appointments/new" not in found(at_staff.page("/search"))
    assert "/profile" in found(at_staff.page("/search"))


def test_a_stranger_finds_nothing_of_ours(
    at_stranger: Visitor, company: Tenant, booked: int, make: Make
) -> None:
    make(make_service, company, name="Tiefe Massage")
    for typed in ("ännchen", "anna@example.org", "+4930", "massage", f"%23{booked}"):
        assert found(at_stranger.page(f"/search?q={typed}")) == [], typed


@pytest.mark.parametrize("typed", ["%25", "_", "'", "%23", "%23999999999999999999999", "x" * 5000])
def test_odd_texts_find_nothing_and_break_nothing(at_staff: Visitor, typed: str) -> None:
    page = at_staff.page(f"/search?q={typed}")
    assert found(page) == []
    assert "Nothing begins like this." in page


def test_under_htmx_there_are_options_of_a_listbox(at_staff: Visitor, booked: int) -> None:
    answer = at_staff.get("/search?q=%C3%A4nn", htmx=True).text
    assert find(answer, "div", role="listbox")
    options = find(answer, "a", role="option")
    assert len({each.attributes["id"] for each in options}) == len(options) == 2
    assert "<html" not in answer


def test_what_it_costs_does_not_grow_with_what_is_found(
    app: Flask, at_staff: Visitor, make: Make, company: Tenant, booked: int, anna: int
) -> None:
    with count_statements(app) as few:
        at_staff.page("/search?q=%C3%A4nnchen")
    for day in range(MOST_OF_A_KIND + 3):
        make(
            make_appointment, company, customer_id=anna, starts_at=clock.now() + timedelta(days=day)
        )
    with count_statements(app) as many:
        page = at_staff.page("/search?q=%C3%A4nnchen")
    assert len(many) == len(few) <= 15
    appointments = [each for each in found(page) if re.fullmatch(r"/appointments/\d+", each)]
    assert len(appointments) == MOST_OF_A_KIND


@pytest.mark.parametrize("typed", ["-", "( )", ".", "/"])
def test_what_is_no_number_finds_no_number(at_staff: Visitor, anna: int, typed: str) -> None:
    assert not any("/customers/" in each for each in found(at_staff.page(f"/search?q={typed}")))
