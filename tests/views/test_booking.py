"""Booking, moving and cancelling: what is written, what is refused, and what is said before."""

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from tests.factories import Tenant, make_appointment, make_customer, make_service
from tests.views.conftest import Visitor
from tests.views.markup import by_id, find
from webapp import clock
from webapp.models.appointment import AppointmentStatus

Make = Callable[..., int]
BERLIN = ZoneInfo("Europe/Berlin")


def _form(company: Tenant, **changes: str) -> dict[str, str]:
    return {
        "customer": str(company.customer_id),
        "service": str(company.service_id),
        "day": "2031-01-07",
        "time": "14:30",
        **changes,
    }


def _newcomer(company: Tenant, **changes: str) -> dict[str, str]:
    return _form(company, customer="new", name="Neu Ling", email="neu@example.org", **changes)


def _one(owner_engine: Engine, query: str) -> tuple[object, ...]:
    with owner_engine.connect() as connection:
        return tuple(connection.execute(text(query)).one())


def test_a_booking_is_written_with_its_intent_in_the_companys_time(
    at_manager: Visitor, company: Tenant, owner_engine: Engine
) -> None:
    response = at_manager.post("/appointments", _form(company, notes="Zimmer 2"))
    assert response.status_code == 303
    assert response.location.startswith("/appointments/")
    starts_at, origin, notes, kind = _one(
        owner_engine,
        "SELECT a.starts_at, a.sync_origin, a.notes, i.kind FROM appointments a"
        " JOIN intents i ON i.appointment_id = a.id",
    )
    assert starts_at == datetime(2031, 1, 7, 14, 30, tzinfo=BERLIN)
    assert (origin, notes, kind) == ("admin", "Zimmer 2", "create")


def test_the_form_says_before_its_button_that_the_customer_is_mailed(at_manager: Visitor) -> None:
    page = at_manager.page("/appointments/new")
    assert page.index("Cal.com will mail the customer") < page.index("Book appointment</button>")


def test_a_new_customer_is_made_and_known_the_next_time(
    at_manager: Visitor, company: Tenant, owner_engine: Engine
) -> None:
    at_manager.post("/appointments", _newcomer(company))
    at_manager.post("/appointments", _newcomer(company, time="16:00"))
    query = "SELECT count(*) FROM customers WHERE name = 'Neu Ling'"
    assert _one(owner_engine, query) == (1,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"customer": "new"}, "A new customer needs a name."),
        ({"customer": "new", "name": "A"}, "Enter an e-mail address or a phone number."),
        ({"customer": "new", "name": "A", "email": "a"}, "This is not an e-mail address."),
        ({"customer": "new", "name": "A", "phone": "0170"}, "with its country code"),
        ({"customer": "new", "name": "A" * 201, "email": "a@b.org"}, "At most 200 characters."),
        ({"service": ""}, "Choose a service."),
        ({"day": ""}, "This is needed."),
        ({"day": "31.12."}, "This is not a date."),
        ({"day": "0001-01-01"}, "This is not a date."),
        ({"time": "25:00"}, "This is not a time."),
        ({"time": "10:00+02:00"}, "This is not a time."),
        ({"day": "2020-01-07"}, "This time has passed."),
        ({"day": "2031-03-30", "time": "02:30"}, "the clocks are put forward"),
        ({"notes": "x" * 4001}, "At most 4000 characters."),
    ],
)
def test_what_cannot_be_booked_is_said_at_the_field(
    at_manager: Visitor,
    company: Tenant,
    owner_engine: Engine,
    changes: dict[str, str],
    message: str,
) -> None:
    response = at_manager.post("/appointments", _form(company, **changes))
    assert response.status_code == 422
    assert message in response.text
    assert _one(owner_engine, "SELECT count(*) FROM appointments") == (0,)


def test_a_refused_booking_leaves_no_new_customer_behind(
    at_manager: Visitor, company: Tenant, owner_engine: Engine
) -> None:
    at_manager.post("/appointments", _newcomer(company, day="2020-01-07"))
    query = "SELECT count(*) FROM customers WHERE name = 'Neu Ling'"
    assert _one(owner_engine, query) == (0,)


def test_a_service_no_longer_offered_is_refused(
    at_manager: Visitor, make: Make, company: Tenant
) -> None:
    old = make(make_service, company, is_offered=False)
    response = at_manager.post("/appointments", _form(company, service=str(old)))
    assert response.status_code == 422
    assert "no longer offered" in response.text
    assert not find(response.text, "option", value=str(old))


def test_a_form_sent_twice_books_once(
    at_manager: Visitor, company: Tenant, owner_engine: Engine
) -> None:
    at_manager.post("/appointments", _form(company))
    again = at_manager.post("/appointments", _form(company))
    assert again.status_code == 422
    assert "has this appointment already" in again.text
    assert _one(owner_engine, "SELECT count(*) FROM appointments") == (1,)


def test_a_time_that_comes_twice_means_the_first(
    at_manager: Visitor, company: Tenant, owner_engine: Engine
) -> None:
    response = at_manager.post("/appointments", _form(company, day="2031-10-26", time="02:30"))
    assert "comes twice" in at_manager.page(response.location)
    (starts_at,) = _one(owner_engine, "SELECT starts_at FROM appointments")
    assert str(starts_at) == "2031-10-26 00:30:00+00:00"


def test_customers_are_offered_while_their_name_is_typed(
    at_manager: Visitor, make: Make, company: Tenant, other_company: Tenant
) -> None:
    wanted = make(make_customer, company, "ruth@example.org", name="Ruth Rosen")
    make(make_customer, other_company, "ruth2@example.org", name="Ruth Fremd")
    fragment = at_manager.get("/appointments/new/customers?q=ruth", htmx=True).text
    values = [each.attributes["value"] for each in find(fragment, "input", name="customer")]
    assert values == [str(wanted), "new"]
    assert str(wanted) in at_manager.page("/appointments/new?q=ruth")


def test_from_a_customers_page_that_customer_is_chosen(
    at_manager: Visitor, company: Tenant, other_company: Tenant
) -> None:
    page = at_manager.page(f"/appointments/new?customer={company.customer_id}")
    [chosen] = [
        each.attributes["value"]
        for each in find(page, "input", name="customer")
        if "checked" in each.attributes
    ]
    assert chosen == str(company.customer_id)
    strange = at_manager.get(f"/appointments/new?customer={other_company.customer_id}")
    assert strange.status_code == 404


def test_an_erased_customer_is_neither_offered_nor_booked_for(
    at_manager: Visitor, make: Make, company: Tenant
) -> None:
    gone = make(make_customer, company, name="#12", erased_at=clock.now())
    fragment = at_manager.get("/appointments/new/customers?q=%2312", htmx=True).text
    values = [each.attributes["value"] for each in find(fragment, "input", name="customer")]
    assert values == ["new"]
    assert at_manager.get(f"/appointments/new?customer={gone}").status_code == 404
    assert at_manager.get(f"/appointments/new?customer={gone}&q=erika").status_code == 404
    answer = at_manager.post("/appointments", _form(company, customer=str(gone)))
    assert answer.status_code == 404


def test_moving_writes_the_new_time_and_its_intent(
    at_manager: Visitor, make: Make, company: Tenant, owner_engine: Engine
) -> None:
    appointment_id = make(make_appointment, company)
    address = f"/appointments/{appointment_id}/reschedulings"
    assert "Cal.com will mail Erika Beispiel" in at_manager.page(address)
    response = at_manager.post(address, {"day": "2031-01-07", "time": "09:00"})
    assert response.location == f"/appointments/{appointment_id}"
    starts_at, kind = _one(
        owner_engine,
        "SELECT a.starts_at, i.kind FROM appointments a JOIN intents i ON i.appointment_id = a.id",
    )
    assert (starts_at, kind) == (datetime(2031, 1, 7, 9, 0, tzinfo=BERLIN), "reschedule")


def test_moving_to_the_same_time_is_refused_in_the_dialog(
    at_manager: Visitor, make: Make, company: Tenant
) -> None:
    starts_at = datetime(2031, 1, 7, 9, 0, tzinfo=BERLIN)
    appointment_id = make(make_appointment, company, starts_at=starts_at)
    response = at_manager.post(
        f"/appointments/{appointment_id}/reschedulings",
        {"day": "2031-01-07", "time": "09:00"},
        htmx=True,
    )
    assert response.status_code == 422
    assert "This is the time it has already." in response.text
    form = by_id(response.text, "confirmation")
    assert form is not None
    assert form.attributes["hx-target"] == "#confirmation"


def test_cancelling_needs_a_reason_and_mails(
    at_manager: Visitor, make: Make, company: Tenant, owner_engine: Engine
) -> None:
    appointment_id = make(make_appointment, company)
    address = f"/appointments/{appointment_id}/cancellations"
    assert "Cal.com will mail Erika Beispiel" in at_manager.page(address)
    assert at_manager.post(address, {"reason": "  "}).status_code == 422
    done = at_manager.post(address, {"reason": "krank"}, htmx=True)
    assert done.headers["HX-Redirect"] == f"/appointments/{appointment_id}"
    assert _one(owner_engine, "SELECT status, cancellation_reason FROM appointments") == (
        "cancelled",
        "krank",
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"status": AppointmentStatus.CANCELLED}, "can no longer be changed"),
        ({"starts_at": clock.now() - timedelta(hours=1)}, "has already begun"),
    ],
)
def test_what_is_over_cannot_be_changed(
    at_manager: Visitor, make: Make, company: Tenant, columns: dict[str, object], message: str
) -> None:
    appointment_id = make(make_appointment, company, **columns)
    assert "/cancellations" not in at_manager.page(f"/appointments/{appointment_id}")
    for noun, form in (
        ("cancellations", {"reason": "krank"}),
        ("reschedulings", {"day": "2031-01-07", "time": "09:00"}),
    ):
        response = at_manager.post(f"/appointments/{appointment_id}/{noun}", form)
        assert response.status_code == 422
        assert message in response.text
