"""Customers at the desk: found by a beginning, seen with their appointments, made and edited."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.factories import PASSWORD, Tenant, make_appointment, make_customer
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import by_id, find, said_in
from webapp.extensions import db
from webapp.models.customer import Customer
from webapp.models.tenancy import as_company

Make = Callable[..., int]
FORM = {
    "name": "Zoë Ärmel",
    "email": "zoe@example.org",
    "phone": "+49 30 1234567",
    "time_zone": "Europe/Berlin",
    "language": "de",
}


@pytest.fixture
def row(app: Flask, company: Tenant) -> Callable[[int], Customer]:
    def read(customer_id: int) -> Customer:
        with app.app_context(), as_company(company.id):
            found = db.session.get_one(Customer, (company.id, customer_id))
            db.session.expunge(found)
            return found

    return read


@pytest.mark.parametrize("text", ["zoë", "ZOË Ä", "zoe@ex", "+49301"])
def test_a_customer_is_found_by_the_beginning_of_name_mail_or_phone(
    at_staff: Visitor, at_manager: Visitor, text: str
) -> None:
    at_manager.post("/customers", FORM)
    query = {"q": text}
    page = said_in(at_staff.client.get("/customers", query_string=query).text)
    assert "Zoë Ärmel" in page
    assert "Erika Beispiel" not in page


def test_what_nobody_begins_with_is_said(at_staff: Visitor) -> None:
    page = said_in(at_staff.page("/customers?q=rmel"))
    assert "Nobody on file begins like this." in page


def test_a_customers_page_shows_contact_and_appointments(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    appointment = make(make_appointment, company)
    page = said_in(at_staff.page(f"/customers/{company.customer_id}"))
    assert company.customer_email in page
    assert f"Consultation · #{appointment}" in page


def test_a_customer_is_made_and_edited(at_manager: Visitor, row: Callable[[int], Customer]) -> None:
    answer = at_manager.post("/customers", FORM)
    assert answer.status_code == 303
    customer_id = int(answer.location.split("/")[-1])
    made = row(customer_id)
    assert (made.name_folded, made.phone) == ("zoë ärmel", "+49301234567")
    assert find(at_manager.page(f"/customers/{customer_id}/edit"), "input", value="Zoë Ärmel")
    changed = {**FORM, "name": "Zoë Neu", "email": "NEU@example.org", "phone": ""}
    assert at_manager.post(f"/customers/{customer_id}", changed).status_code == 303
    edited = row(customer_id)
    assert (edited.name_folded, edited.email_folded) == ("zoë neu", "neu@example.org")
    assert edited.phone is None


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"name": ""}, "name", "This is needed."),
        ({"email": "", "phone": ""}, "email", "Enter an e-mail address or a phone number."),
        ({"email": "zoe"}, "email", "This is not an e-mail address."),
        ({"phone": "030 12"}, "phone", "country code"),
        ({"time_zone": "Berlin"}, "time_zone", "This is not a time zone."),
        ({"language": "deutsch!"}, "language", "This is not a language."),
        ({"email": "sonnenschein-customer@example.org"}, "email", "has this e-mail already"),
    ],
)
def test_what_cannot_be_saved_is_said_beside_its_field_and_nothing_typed_is_lost(
    at_manager: Visitor, company: Tenant, change: dict[str, str], field: str, said: str
) -> None:
    for path in ("/customers", f"/customers/{company.customer_id}"):
        if path != "/customers" and "sonnenschein" in change.get("email", ""):
            continue
        answer = at_manager.post(path, {**FORM, **change})
        assert answer.status_code == 422
        told = by_id(answer.text, f"{field}-help")
        assert told is not None
        assert said in told.text
        typed = {**FORM, **change}
        assert find(answer.text, "input", name="phone", value=typed["phone"])


def test_staff_see_customers_and_change_none(at_staff: Visitor, company: Tenant) -> None:
    path = f"/customers/{company.customer_id}"
    assert "/edit" not in at_staff.page(path)
    assert at_staff.post("/customers", FORM).status_code == 403
    assert at_staff.post(path, FORM).status_code == 403


def test_a_stranger_sees_none(at_stranger: Visitor, make: Make, company: Tenant) -> None:
    customer = make(make_customer, company, name="Ours Alone")
    assert "Ours Alone" not in at_stranger.page("/customers")
    assert "Ours Alone" not in at_stranger.page("/customers?q=ours")
    assert at_stranger.get(f"/customers/{customer}").status_code == 404


def test_pages_follow_each_other_without_gap_or_repeat(
    app: Flask, at_staff: Visitor, make: Make, company: Tenant
) -> None:
    for number in range(60):
        make(make_customer, company, name=f"Same Name {number % 3}")
    with count_statements(app) as statements:
        first = at_staff.page("/customers")
    assert len(statements) <= 15
    [following] = find(first, "a", rel="next")
    second = at_staff.page(following.attributes["href"])
    links = [
        each.attributes["href"]
        for html in (first, second)
        for each in find(html, "a", **{"class": "row-link"})
    ]
    assert len(links) == len(set(links)) == 61


def test_an_admin_exports_a_customers_data(
    at_admin: Visitor, at_manager: Visitor, company: Tenant
) -> None:
    path = f"/customers/{company.customer_id}/exports"
    assert at_manager.post(path).status_code == 403
    answer = at_admin.post(path)
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.json is not None
    assert answer.json["customer"]["email"] == company.customer_email


def test_an_admin_erases_a_customer_once_nothing_is_to_come(
    at_admin: Visitor, make: Make, company: Tenant, row: Callable[[int], Customer]
) -> None:
    customer = make(make_customer, company, name="Vera Vergangen")
    make(make_appointment, company)
    path = f"/customers/{customer}/erasures"
    assert at_admin.post(path, {"current": "wrong"}).status_code == 422
    assert row(customer).name == "Vera Vergangen"
    assert at_admin.post(path, {"current": PASSWORD}).status_code == 303
    assert "Vera" not in row(customer).name
    page = at_admin.page(f"/customers/{customer}")
    assert "Erased" in page
    assert "/edit" not in page
    assert at_admin.post(f"/customers/{customer}", FORM).status_code == 303
    assert "Zoë" not in row(customer).name
    early = at_admin.post(f"/customers/{company.customer_id}/erasures", {"current": PASSWORD})
    assert early.status_code == 422
    assert "still to come" in early.text
