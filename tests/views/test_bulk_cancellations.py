"""Cancelling many appointments at the desk: the preview, the reason, what is frozen."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from tests.factories import Tenant, make_appointment, make_customer
from tests.views.conftest import Visitor
from tests.views.markup import find, words
from webapp import clock
from webapp.models.appointment import AppointmentStatus, Origin

Make = Callable[..., int]


@pytest.fixture
def appointments(make: Make, company: Tenant, owner_engine: Engine) -> list[int]:
    """Two to come, one of them of a customer without an address; one past; one cancelled."""
    silent = make(make_customer, company, phone="+491")
    with owner_engine.begin() as connection:
        forget = "UPDATE customers SET email = NULL, email_folded = NULL WHERE id = :id"
        connection.execute(text(forget), {"id": silent})
    return [
        make(make_appointment, company),
        make(make_appointment, company, customer_id=silent, created_by_origin=Origin.RETELL),
        make(make_appointment, company, starts_at=clock.now() - timedelta(hours=3)),
        make(make_appointment, company, status=AppointmentStatus.CANCELLED),
    ]


def fields(page: str) -> dict[str, str]:
    hidden = [each.attributes for each in find(page, "input", type="hidden")]
    return {each["name"]: each.get("value", "") for each in hidden if each["name"] != "appointment"}


def items(owner_engine: Engine) -> list[int]:
    with owner_engine.connect() as connection:
        query = text("SELECT appointment_id FROM bulk_items ORDER BY id")
        return list(connection.scalars(query))


def test_the_preview_says_how_many_customers_are_mailed(
    at_manager: Visitor, appointments: list[int], owner_engine: Engine
) -> None:
    page = words(at_manager.page("/appointments/cancellations/new?scope=matching&period=all"))
    assert "Cancel 2 appointments?" in page
    assert "Cal.com mails 1 customer about 1 appointment." in page
    assert "1 customer has no e-mail address and gets no mail." in page
    assert "2 other appointments you chose are cancelled, over or have begun" in page
    assert items(owner_engine) == []


def test_all_that_match_are_frozen_as_the_preview_showed_them(
    at_manager: Visitor, appointments: list[int], make: Make, company: Tenant, owner_engine: Engine
) -> None:
    page = at_manager.page("/appointments/cancellations/new?scope=matching&period=all")
    clock.advance(timedelta(seconds=5))
    later = make(make_appointment, company)
    form = fields(page) | {"reason": "Flood"}
    done = at_manager.post("/appointments/cancellations", form)
    assert done.location == "/bulk-actions/1"
    assert later not in items(owner_engine)
    assert sorted(items(owner_engine)) == appointments[:2]
    shown = words(at_manager.page("/bulk-actions/1"))
    assert "Cancel many appointments" in shown
    assert at_manager.get("/bulk-actions/1/outcomes").status_code == 200


def test_filters_narrow_what_is_cancelled(
    at_manager: Visitor, appointments: list[int], owner_engine: Engine
) -> None:
    page = at_manager.page("/appointments/cancellations/new?scope=matching&origin=retell")
    at_manager.post("/appointments/cancellations", fields(page) | {"reason": "Flood"})
    assert items(owner_engine) == [appointments[1]]


def test_the_ticked_ones_alone_are_cancelled(
    at_manager: Visitor, appointments: list[int], owner_engine: Engine
) -> None:
    address = f"/appointments/cancellations/new?scope=ticked&appointment={appointments[0]}"
    form = fields(at_manager.page(address))
    form |= {"appointment": str(appointments[0]), "reason": "Flood"}
    at_manager.post("/appointments/cancellations", form)
    assert items(owner_engine) == [appointments[0]]


def test_a_reason_is_needed(
    at_manager: Visitor, appointments: list[int], owner_engine: Engine
) -> None:
    page = at_manager.page("/appointments/cancellations/new?scope=matching")
    answer = at_manager.post("/appointments/cancellations", fields(page))
    assert answer.status_code == 422
    assert "Give a reason; the customer reads it." in answer.text
    assert items(owner_engine) == []


def test_without_a_tick_the_list_says_so(at_manager: Visitor, appointments: list[int]) -> None:
    answer = at_manager.get("/appointments/cancellations/new?scope=ticked&period=past")
    assert answer.location == "/appointments?period=past"
    assert "Tick at least one appointment" in at_manager.page(answer.location)


def test_where_nothing_can_be_cancelled_the_preview_says_so(
    at_manager: Visitor, appointments: list[int]
) -> None:
    page = at_manager.page("/appointments/cancellations/new?scope=matching&period=past")
    assert "There is nothing to cancel" in page


def test_a_strangers_appointment_among_the_ticked_is_404(
    at_manager: Visitor, make: Make, other_company: Tenant
) -> None:
    foreign = make(make_appointment, other_company)
    address = f"/appointments/cancellations/new?scope=ticked&appointment={foreign}"
    assert at_manager.get(address).status_code == 404


def test_staff_see_no_ticks_and_may_not(at_staff: Visitor, appointments: list[int]) -> None:
    assert find(at_staff.page("/appointments"), "input", type="checkbox") == []
    assert at_staff.get("/appointments/cancellations/new?scope=matching").status_code == 403
