"""Booking, moving and cancelling. The change counts at once here; workers carry it to Cal.com."""

from flask import url_for

from webapp import clock
from webapp.extensions import db
from webapp.models.api_token import Scope
from webapp.models.appointment import Origin
from webapp.models.company import Company
from webapp.models.customer import Customer
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.booking import (
    BookingRefused,
    Change,
    book_appointment,
    cancel_appointment,
    live_twin_id,
    reschedule_appointment,
)
from webapp.sync.customers import find_or_make_customer
from webapp.views.access import find_or_404
from webapp.views.api.appointments import GROUP
from webapp.views.api.descriptions import describe_appointment
from webapp.views.api.once import Outcome
from webapp.views.api.operations import writes
from webapp.views.api.problems import Code, FieldError, Problem
from webapp.views.api.shapes import (
    Appointment,
    CustomerDetails,
    KnownCustomer,
    NewAppointment,
    NewCancellation,
    NewRescheduling,
)
from webapp.views.appointments import find_appointment


@writes(
    "/appointments",
    group=GROUP,
    scope=Scope.APPOINTMENTS_WRITE,
    body=NewAppointment,
    answer=Appointment,
    status=201,
    refusals=(Code.NOT_FOUND, Code.ALREADY_BOOKED, Code.SERVICE_NOT_OFFERED, Code.IN_PAST),
)
def create_appointment(body: NewAppointment) -> Outcome:
    """Book an appointment

    It is kept at once and answered as `pending`; poll its sync to learn how Cal.com took it. The
    customer is one on file (`{"id": 12}`) or given by their details; then whoever is on file with
    that e-mail, or else that phone, is taken, and kept as they are on file. A service or customer
    that is not your company's is 404, and so is a customer whose data was erased.
    """
    service = find_or_404(Service, body.service_id)
    customer = _customer(body.customer)
    # Two requests at once: the second waits here, and then sees what the first has booked.
    db.session.refresh(customer, with_for_update=True)
    _refuse_twin(customer, service, body)
    try:
        change = book_appointment(
            db.session(),
            customer=customer,
            service=service,
            starts_at=body.starts_at,
            origin=Origin.API,
            now=clock.now(),
            notes=body.notes,
            guests=tuple(dict.fromkeys(body.guests)),
        )
    except BookingRefused as refusal:
        raise _problem(refusal) from None
    where = url_for("api_v1.get_appointment", appointment_id=change.appointment_id)
    return _outcome(change, status=201, headers={"Location": where})


@writes(
    "/appointments/<int:appointment_id>/reschedulings",
    group=GROUP,
    scope=Scope.APPOINTMENTS_WRITE,
    body=NewRescheduling,
    answer=Appointment,
    refusals=(
        Code.NOT_FOUND,
        Code.NOT_LIVE,
        Code.ALREADY_STARTED,
        Code.UNCHANGED,
        Code.IN_PAST,
    ),
)
def reschedule(appointment_id: int, body: NewRescheduling) -> Outcome:
    """Move an appointment to another time"""
    appointment = find_appointment(appointment_id)
    try:
        change = reschedule_appointment(
            db.session(),
            appointment,
            body.starts_at,
            origin=Origin.API,
            now=clock.now(),
            reason=body.reason,
        )
    except BookingRefused as refusal:
        raise _problem(refusal) from None
    return _outcome(change)


@writes(
    "/appointments/<int:appointment_id>/cancellations",
    group=GROUP,
    scope=Scope.APPOINTMENTS_WRITE,
    body=NewCancellation,
    answer=Appointment,
    refusals=(Code.NOT_FOUND, Code.NOT_LIVE, Code.ALREADY_STARTED),
)
def cancel(appointment_id: int, body: NewCancellation) -> Outcome:
    """Cancel an appointment"""
    appointment = find_appointment(appointment_id)
    try:
        change = cancel_appointment(
            db.session(), appointment, reason=body.reason, origin=Origin.API, now=clock.now()
        )
    except BookingRefused as refusal:
        raise _problem(refusal) from None
    return _outcome(change)


def _customer(wanted: KnownCustomer | CustomerDetails) -> Customer:
    if isinstance(wanted, KnownCustomer):
        customer = find_or_404(Customer, wanted.id)
        if customer.erased_at is not None:
            raise Problem(Code.NOT_FOUND)
        return customer
    company = db.session.get_one(Company, require_company_id())
    return find_or_make_customer(
        db.session(),
        name=wanted.name,
        email=wanted.email,
        phone=wanted.phone,
        time_zone=wanted.time_zone or company.time_zone,
        language=wanted.language or company.locale,
        now=clock.now(),
    )


def _refuse_twin(customer: Customer, service: Service, body: NewAppointment) -> None:
    """A request sent twice must not book twice, nor mail twice."""
    twin_id = live_twin_id(
        db.session(), customer_id=customer.id, service_id=service.id, starts_at=body.starts_at
    )
    if twin_id is not None:
        raise Problem(Code.ALREADY_BOOKED, appointment_id=twin_id)


def _problem(refusal: BookingRefused) -> Problem:
    if refusal.reason == "customer_erased":
        return Problem(Code.NOT_FOUND)
    code = Code(refusal.reason)
    if code is Code.IN_PAST:
        return Problem(code, errors=[FieldError("starts_at", code.value, "must be in the future")])
    return Problem(code)


def _outcome(change: Change, status: int = 200, headers: dict[str, str] | None = None) -> Outcome:
    body = describe_appointment(find_appointment(change.appointment_id))
    return Outcome(body, status, headers or {}, change.intent_id)
