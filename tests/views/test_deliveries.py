"""The deliveries page: what came, what became of it, what it would do now, and running it again."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from tests.factories import Person, Tenant, make_appointment, make_delivery
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import find, words
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import Appointment
from webapp.models.audit import AuditEntry
from webapp.models.company import Company
from webapp.models.delivery import Delivery, DeliveryStatus, delete_deliveries_before
from webapp.models.history import EventKind, record_event
from webapp.models.remote_change import RemoteChange, RemoteChangeKind
from webapp.models.tenancy import as_company

Make = Callable[..., int]

CREATED = {
    "triggerEvent": "BOOKING_CREATED",
    "createdAt": "2030-01-01T08:00:00.000Z",
    "payload": {
        "uid": "freshBookingOfSomebody",
        "status": "ACCEPTED",
        "startTime": "2030-03-04T09:00:00Z",
        "endTime": "2030-03-04T09:30:00Z",
        "attendees": [{"name": "Jo <b>", "email": "jo@example.org", "timeZone": "UTC"}],
    },
}


def fresh(company: Tenant) -> dict[str, object]:
    """A delivery that would make an appointment."""
    payload = {**CREATED["payload"], "eventTypeId": company.event_type_id}  # type: ignore[dict-item]
    body = {**CREATED, "payload": payload}
    columns = {"status": DeliveryStatus.FAILED, "reason": "calcom_not_readable"}
    return {"body": body, "booking_uid": payload["uid"], **columns}


def test_the_list_is_filtered_by_its_address(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    appointment = make(make_appointment, company)
    applied = make(make_delivery, company, appointment, booking_uid="uidOfTheApplied")
    refused = make(
        make_delivery,
        company,
        trigger="BOOKING_CANCELLED",
        status=DeliveryStatus.REFUSED,
        reason="service_of_another_company",
        old_booking_uid="uidBefore",
        received_at=clock.now() - timedelta(days=3),
    )
    day = (clock.now() - timedelta(days=2)).date().isoformat()

    for query, shown in (
        ("", {applied, refused}),
        ("outcome=refused", {refused}),
        ("trigger=BOOKING_CREATED", {applied}),
        ("text=uidOf", {applied}),
        ("text=uidBefore", {refused}),
        (f"text=%23{appointment}", {applied}),
        (f"from={day}", {applied}),
        (f"to={day}", {refused}),
        ("text=nothing", set()),
        ("trigger=PING", set()),
        ("trigger=UNKNOWN", set()),
        ("outcome=nonsense&trigger=nonsense&from=never", {applied, refused}),
    ):
        page = at_staff.page(f"/deliveries?{query}")
        links = {each.attributes["href"] for each in find(page, "a", class_="row-link")}
        assert links == {f"/deliveries/{each}" for each in shown}, query


def test_tests_and_kinds_nobody_knows_are_found(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    """Which is what one looks for while setting the webhook up."""
    wanted = {
        each: f"/deliveries/{make(make_delivery, company, trigger=trigger)}"
        for each, trigger in (
            ("PING", "PING"),
            ("LOCKSTEP_PING", "LOCKSTEP_PING"),
            ("UNKNOWN", "FORM_SUBMITTED"),
            ("MEETING_ENDED", "MEETING_ENDED"),
        )
    }
    for trigger, link in wanted.items():
        page = at_staff.page(f"/deliveries?trigger={trigger}")
        assert [each.attributes["href"] for each in find(page, "a", class_="row-link")] == [link]


def test_a_page_of_many_leads_to_the_next(at_admin: Visitor, make: Make, company: Tenant) -> None:
    for number in range(52):
        make(make_delivery, company, received_at=clock.now() - timedelta(minutes=number))

    first = at_admin.page("/deliveries")
    assert len(find(first, "a", class_="row-link")) == 50
    [more] = find(first, "a", rel="next")
    second = at_admin.page(more.attributes["href"])
    assert len(find(second, "a", class_="row-link")) == 2


def test_the_list_costs_no_more_with_more_rows(
    app: Flask, at_admin: Visitor, make: Make, company: Tenant
) -> None:
    make(make_delivery, company)
    with count_statements(app) as few:
        at_admin.page("/deliveries")
    for _ in range(5):
        make(make_delivery, company, make(make_appointment, company))
    with count_statements(app) as many:
        at_admin.page("/deliveries")
    assert len(many) == len(few)


def test_one_delivery_shows_body_outcome_and_what_it_did(
    app: Flask, at_staff: Visitor, make: Make, company: Tenant
) -> None:
    appointment = make(make_appointment, company)
    delivery = make(make_delivery, company, appointment, reason="echo", body=fresh(company)["body"])
    with app.app_context(), as_company(company.id):
        record_event(
            db.session(),
            appointment,
            EventKind.ECHO_SUPPRESSED,
            at=clock.now(),
            delivery_id=delivery,
            trigger="BOOKING_CREATED",
        )
        db.session.commit()

    page = at_staff.page(f"/deliveries/{delivery}")

    assert "Jo &lt;b&gt;" in page
    assert "The echo of what is known here already." in page
    assert "Cal.com echoed our own change" in page
    assert f'href="/appointments/{appointment}"' in page
    assert "/dry-runs" not in page, "staff look, they don't run"


@pytest.mark.parametrize("htmx", [True, False])
def test_a_dry_run_says_what_would_change_and_keeps_nothing(
    app: Flask, at_manager: Visitor, make: Make, company: Tenant, htmx: bool
) -> None:
    delivery = make(make_delivery, company, **fresh(company))

    page = at_manager.post(f"/deliveries/{delivery}/dry-runs", htmx=htmx)

    said = words(page.text)
    assert page.status_code == 200
    assert "Would be applied" in said
    assert "An appointment would be made: Consultation for" in said
    assert ", a new customer." in said
    assert "Mon 4 Mar 2030, 10:00" in said
    assert "Taken over from Cal.com" in said
    assert ("<html" in page.text) is not htmx
    with app.app_context(), as_company(company.id):
        assert db.session.scalars(select(Appointment)).all() == []
        row = db.session.get_one(Delivery, (company.id, delivery))
        assert (row.status, row.run_again_count) == (DeliveryStatus.FAILED, 0)
        assert "delivery.run_again" not in db.session.scalars(select(AuditEntry.action)).all()


def test_a_dry_run_that_needs_calcom_says_when_it_cannot_be_asked(
    at_manager: Visitor, make: Make, company: Tenant
) -> None:
    body = {**CREATED, "triggerEvent": "BOOKING_CANCELLED"}
    body["payload"] = {**CREATED["payload"], "eventTypeId": company.event_type_id}  # type: ignore[dict-item]
    delivery = make(make_delivery, company, body=body, booking_uid="freshBookingOfSomebody")

    page = at_manager.post(f"/deliveries/{delivery}/dry-runs", htmx=True).text

    assert "Cal.com had to be asked for this, and could not be." in page


def test_running_again_is_recorded_and_takes_effect(
    app: Flask, at_manager: Visitor, manager: Person, make: Make, company: Tenant
) -> None:
    delivery = make(make_delivery, company, **fresh(company))

    answer = at_manager.post(f"/deliveries/{delivery}/runs")
    again = at_manager.post(f"/deliveries/{delivery}/runs")

    assert (answer.status_code, again.status_code) == (303, 303)
    assert 'hx-get="/deliveries/' in at_manager.page(f"/deliveries/{delivery}")
    with app.app_context():
        from webapp.jobs.inline import run_job

        run_job("delivery", company.id, delivery)
        with as_company(company.id):
            [appointment] = db.session.scalars(select(Appointment))
            row = db.session.get_one(Delivery, (company.id, delivery))
            assert (row.status, row.appointment_id) == (DeliveryStatus.APPLIED, appointment.id)
            assert row.run_again_count == 1, "while it waits it isn't run a second time"
            entries = db.session.scalars(
                select(AuditEntry).where(AuditEntry.action == "delivery.run_again")
            ).all()
            assert [entry.user_id for entry in entries] == [manager.id]
            assert entries[0].data["before"]["reason"] == "calcom_not_readable"
    assert "hx-get" not in at_manager.get(f"/deliveries/{delivery}/outcome", htmx=True).text


def test_without_any_delivery_the_page_says_what_to_do(
    at_admin: Visitor, at_staff: Visitor, company: Tenant
) -> None:
    address = f"/webhooks/calcom/{company.webhook_token}"
    assert address in at_admin.page("/deliveries")
    assert address not in at_staff.page("/deliveries")
    assert "No webhook has come yet" in at_staff.page("/deliveries")


def test_silence_is_said_on_the_overview_and_misses_on_the_page(
    app: Flask, at_staff: Visitor, make: Make, company: Tenant
) -> None:
    make(make_delivery, company)
    assert "webhook is silent" not in at_staff.page("/")
    with app.app_context(), as_company(company.id):
        db.session.get_one(Company, company.id).webhook_silent_since = clock.now()
        db.session.add(
            RemoteChange(
                uid="missed",
                kind=RemoteChangeKind.CANCELLED,
                changed_at=clock.now() - timedelta(hours=2),
                seen_at=clock.now(),
                was_announced=False,
            )
        )
        db.session.commit()

    assert "webhook is silent" in at_staff.page("/")
    page = words(at_staff.page("/deliveries"))
    assert "50%" in page
    assert "1 of 2 changes" in page


def test_old_deliveries_can_be_forgotten_but_not_those_that_wait(
    app: Flask, make: Make, company: Tenant
) -> None:
    long_ago = clock.now() - timedelta(days=90)
    make(make_delivery, company, received_at=long_ago)
    waits = make(
        make_delivery, company, received_at=long_ago, status=DeliveryStatus.RECEIVED, reason=None
    )
    young = make(make_delivery, company)
    with app.app_context(), as_company(company.id):
        before = clock.now() - timedelta(days=30)
        assert delete_deliveries_before(db.session(), before) == 1
        db.session.commit()
        assert set(db.session.scalars(select(Delivery.id))) == {waits, young}
