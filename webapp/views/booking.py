"""Booking an appointment: for a customer on file or a new one; Cal.com mails them."""

from flask import Blueprint, abort, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import enqueue_push
from webapp.models.appointment import Origin
from webapp.models.customer import Customer
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.booking import BookingRefused, Change, book_appointment, live_twin_id
from webapp.sync.customers import (
    CustomerUnreachable,
    InvalidEmail,
    InvalidPhone,
    find_or_make_customer,
)
from webapp.views import htmx
from webapp.views.access import acting, find_or_404, id_or_404, require_person
from webapp.views.appointment_list import matches_customer
from webapp.views.appointments import company_services
from webapp.views.changes import mention_second_hour
from webapp.views.forms.appointments import BookingForm
from webapp.views.forms.fields import refuse
from webapp.views.free_times import FreeTimes, as_context, find_free_times
from webapp.views.local_time import parse_day, parse_time
from webapp.views.pages import render_page
from webapp.views.wording import REFUSALS
from webapp.views.words import gettext as _

blueprint = Blueprint("booking", __name__, url_prefix="/appointments")

CHOICES = 8


@blueprint.get("/new")
@acting
def new() -> ResponseReturnValue:
    """An address may name day, time, service and customer: the calendar's empty hours and a
    customer's page do."""
    return _render_new(_with_choices(BookingForm(data=_prefilled())))


@blueprint.get("/new/customers")
@acting
def customers() -> ResponseReturnValue:
    """Customers to choose from while their name is being typed."""
    text = request.args.get("q", "")
    return render_template(
        "booking/_customers.html", choices=_find_customers(text), text=text, chosen="new"
    )


@blueprint.post("/new/free-times")
@acting
def free_times() -> ResponseReturnValue:
    """What is free on the chosen day; nothing that was typed is lost, nothing is booked."""
    form = _booking_form()
    day = parse_day(form.day.data or "")
    service = find_or_404(Service, id_or_404(form.service.data)) if form.service.data else None
    free = find_free_times(service, day) if service and day else None
    if htmx.is_htmx():
        context = as_context(form, free, asks_for=True)
        return render_template("booking/_free_times.html", **context)
    return _render_new(form, free, asks_for=True)


@blueprint.post("")
@acting
def book() -> ResponseReturnValue:
    form = _booking_form()
    change = _book(form) if form.validate() else None
    if change is None:
        db.session.rollback()
        return _render_new(form), 422
    db.session.commit()
    enqueue_push(require_person().company_id, change.intent_id)
    flash(_("Booked. It is on its way to Cal.com."), "success")
    mention_second_hour(form)
    return htmx.see_other(url_for("appointments.show", appointment_id=change.appointment_id))


def _book(form: BookingForm) -> Change | None:
    """Write the appointment; None, with an error in the form, where it cannot be."""
    service = find_or_404(Service, id_or_404(form.service.data))
    customer = _customer(form)
    starts_at = form.starts_at or abort(422)
    if customer is not None:
        # Two clicks at once: the second waits here, and then sees what the first has booked.
        db.session.refresh(customer, with_for_update=True)
    if customer is None or _is_booked_already(form, customer, service):
        return None
    try:
        return book_appointment(
            db.session(),
            customer=customer,
            service=service,
            starts_at=starts_at,
            origin=Origin.ADMIN,
            now=clock.now(),
            user_id=require_person().id,
            notes=form.notes.data or "",
            guests=form.guest_list,
        )
    except BookingRefused as refusal:
        field = form.service if refusal.reason == "service_not_offered" else form.time
        refuse(field, REFUSALS[refusal.reason])
        return None


def _customer(form: BookingForm) -> Customer | None:
    if not form.is_for_new_customer:
        return _on_file_or_404(form.customer.data or "")
    person = require_person()
    try:
        return find_or_make_customer(
            db.session(),
            name=form.name.data or "",
            email=form.email.data or None,
            phone=form.phone.data or None,
            time_zone=person.time_zone,
            language=person.locale,
            now=clock.now(),
        )
    except CustomerUnreachable:
        refuse(form.email, _("Enter an e-mail address or a phone number."))
        return None
    except InvalidEmail:
        refuse(form.email, _("This is not an e-mail address."))
        return None
    except InvalidPhone:
        refuse(form.phone, _("Write the number with its country code, for example +49 30 123456."))
        return None


def _on_file_or_404(wanted: str) -> Customer:
    """An erased customer is nobody to book for."""
    customer = find_or_404(Customer, id_or_404(wanted))
    return customer if customer.erased_at is None else abort(404)


def _is_booked_already(form: BookingForm, customer: Customer, service: Service) -> bool:
    """A form sent twice must not book twice, nor mail twice."""
    twin_id = live_twin_id(
        db.session(),
        customer_id=customer.id,
        service_id=service.id,
        starts_at=form.starts_at or abort(422),
    )
    if twin_id is not None:
        message = _("This customer has this appointment already: #%(id)s.", id=twin_id)
        refuse(form.time, message)
    return twin_id is not None


def _booking_form() -> BookingForm:
    return _with_choices(BookingForm(request.form))


def _prefilled() -> dict[str, str]:
    day, at = request.args.get("day", ""), request.args.get("time", "")
    service, customer = request.args.get("service", ""), request.args.get("customer", "new")
    return {
        "day": day if parse_day(day) else "",
        "time": at if parse_time(at) else "",
        "service": str(find_or_404(Service, id_or_404(service)).id) if service else "",
        "customer": customer if customer == "new" else str(_on_file_or_404(customer).id),
    }


def _with_choices(form: BookingForm) -> BookingForm:
    form.service.choices = [("", _("Choose a service")), *service_choices()]
    form.service.validate_choice = False  # a stranger's service is 404, not a hint
    return form


def service_choices(keeping: int | None = None) -> list[tuple[str, str]]:
    """What is offered, and the service that an appointment has although it no longer is."""
    return [
        (str(service.id), _describe_service(service))
        for service in company_services()
        if service.is_offered or service.id == keeping
    ]


def _describe_service(service: Service) -> str:
    words = _("%(name)s, %(minutes)s min", name=service.name, minutes=service.duration_minutes)
    if service.calcom_event_type_id is None:
        return _("%(service)s (not connected to Cal.com)", service=words)
    return words


def _render_new(form: BookingForm, free: FreeTimes | None = None, *, asks_for: bool = False) -> str:
    text = request.values.get("q", "")
    chosen = form.customer.data or "new"
    return render_page(
        "booking/new.html",
        form=form,
        text=text,
        chosen=chosen,
        choices=_find_customers(text) or _chosen_customer(chosen),
        **as_context(form, free, asks_for=asks_for),
    )


def _chosen_customer(chosen: str) -> list[Customer]:
    return [] if chosen == "new" else [_on_file_or_404(chosen)]


def _find_customers(text: str) -> list[Customer]:
    if not text.strip():
        return []
    query = select(Customer).where(
        Customer.company_id == require_company_id(),
        Customer.erased_at.is_(None),
        matches_customer(text[:100]),
    )
    return list(
        db.session.scalars(query.order_by(Customer.name_folded, Customer.id).limit(CHOICES))
    )
